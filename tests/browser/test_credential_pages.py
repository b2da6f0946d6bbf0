"""The public pages as an employer meets them: in Chromium, on a phone, by keyboard, without a script."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import httpx
import pytest
from chromium import needs_chromium, picture
from registry import exported
from served import at  # noqa: F401  # a fixture
from test_credentials_api import TOLD, made

from records import client as clients
from records.db import unit_of_work

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
UNITS = (
    ("J.620100.004.02", "Menggunakan Struktur Data"),
    ("J.620100.009.02", "Menggunakan Spesifikasi Program"),
    ("J.620100.016.01", "Menulis Kode dengan Prinsip Sesuai Guidelines dan Best Practices"),
    ("J.620100.033.02", "Melaksanakan Pengujian Unit Program"),
)


@pytest.fixture
def window(browser: "Browser", at: httpx.Client) -> Iterator[Callable[..., "Page"]]:  # noqa: F811
    """Opens pages that must not complain: of no script, and of nothing that their policy forbids."""
    said: list[str] = []
    opened = []

    def open_(**more: Any) -> "Page":
        base = str(at.base_url)
        opened.append(browser.new_context(base_url=base, viewport=DESK, locale="id-ID", **more))
        page = opened[-1].new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        return page

    yield open_
    for one in opened:
        one.close()
    refused = "Failed to load resource: the server responded with a status of 4"  # as a form may be
    assert not [text for text in said if text.startswith(("error", "warning")) and refused not in text]


def a_learner(at: httpx.Client, number: str, **changed: Any) -> dict[str, Any]:  # noqa: F811
    """A credential whose holder agreed to show the name, of a centre with a name."""
    brand = {"lpk_registration_number": TOLD["lpk_registration_number"], "name": "LPK Teknologi Indonesia"}
    at.put("/api/v1/training-centres", json=brand).raise_for_status()
    learner = {"id": f"learner-{number}", "name": "Siti Nur’aini Rahmawati", "show_name": True}
    achievement = TOLD["achievement"] | {
        "description": "Merancang, menulis, dan menguji perangkat lunak sebagai pengembang junior: struktur "
        "data, spesifikasi program, kode yang terbaca, dan pengujian unit.",
        "criteria": "Hadir paling sedikit 80 % dari 320 jam pelatihan dan lulus uji kompetensi semua unit.",
        "skkni_units": [{"code": code, "title": title} for code, title in UNITS],
        "hours": 320,
    }
    said = {"certificate_number": number, "learner": learner, "achievement": achievement}
    return made(at, **said | changed)


def wide(page: "Page") -> int:
    """How wide the page is, whatever the window."""
    return int(page.evaluate("document.documentElement.scrollWidth"))


def barriers(page: "Page", *schemes: Literal["dark", "light"]) -> dict[str, str]:
    """What axe finds, by daylight or in the dark."""
    from axe_playwright_python.sync_playwright import Axe

    found = {}
    for scheme in schemes or ("light",):
        page.emulate_media(color_scheme=scheme)
        result = Axe().run(page, options=RULES)
        if result.violations_count:
            found[f"{page.url}, {scheme}"] = result.generate_report()
    return found


def test_an_employer_opens_it_on_a_phone_and_sees_how_it_stands(
    at: httpx.Client,  # noqa: F811
    window: Callable[..., "Page"],
    tmp_path: Path,
) -> None:
    one = a_learner(at, "CERT-2026-001234")
    path = f"/credentials/{one['credential_id']}"
    page = window()
    found: dict[str, str] = {}
    at.post(f"/api/v1{path}/suspend", json={"reason": "Sedang diperiksa"}).raise_for_status()
    at.post(f"/api/v1{path}/restore").raise_for_status()
    for state in ("valid", "revoked"):
        if state == "revoked":
            why = {"reason": "Nilai ujian salah dicatat; sertifikat baru diterbitkan dengan nomor lain"}
            at.post(f"/api/v1{path}/revoke", json=why).raise_for_status()
        for size, name in ((DESK, "desk"), (PHONE, "phone")):
            page.set_viewport_size(size)
            page.goto(path, wait_until="networkidle")
            assert page.get_by_text("Berlaku" if state == "valid" else "Dicabut", exact=True).is_visible()
            assert wide(page) <= size["width"]
            assert all(page.evaluate("[...document.images].map(one => one.naturalWidth > 0)"))
            if name == "phone":
                found |= barriers(page, "dark", "light")
            picture(page, f"credential-{state}-{name}", tmp_path, whole=name == "desk" and state == "valid")
        if state == "valid":
            page.emulate_media(color_scheme="dark")
            picture(page, "credential-dark-phone", tmp_path)
            page.emulate_media(color_scheme="light")
            page.get_by_role("link", name="English").click()
            page.get_by_text("Valid", exact=True).wait_for()
            page.emulate_media(media="print")
            assert not page.get_by_role("heading", name="Downloads").is_visible()
            page.emulate_media(media="screen")
    page.goto("/credentials/019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c")
    found |= barriers(page)
    assert found == {}


@pytest.mark.slow
def test_names_of_every_kind_turn_and_break_nothing(
    at: httpx.Client,  # noqa: F811
    window: Callable[..., "Page"],
) -> None:
    page = window()
    page.set_viewport_size(PHONE)
    for number, name in enumerate(
        ("محمد عبد الله", "x" * 200, "\u202eSiti\u202c", "<img src=x onerror=alert(1)>")
    ):
        learner = {"id": f"odd-{number}", "name": name, "show_name": True}
        one = a_learner(at, f"ODD-{number}", learner=learner)
        page.goto(f"/credentials/{one['credential_id']}")
        assert page.locator(".awarded strong").inner_text() == name
        assert wide(page) <= PHONE["width"]
        assert page.locator("dd", has_text="15 Juli 2026").first.is_visible()


def test_a_badge_is_dropped_on_the_page_chosen_by_hand_and_sent_without_a_script(
    at: httpx.Client,  # noqa: F811
    window: Callable[..., "Page"],
    tmp_path: Path,
) -> None:
    one = a_learner(at, "CERT-2026-001235")
    good, spoilt = tmp_path / "badge.png", tmp_path / "spoilt.png"
    good.write_bytes(at.get(f"/credentials/{one['credential_id']}/badge.png").content)
    changed = bytearray(good.read_bytes())
    changed[changed.index(b"openbadgecredential") + 60] ^= 1
    spoilt.write_bytes(changed)
    forged = tmp_path / "forged.json"
    text = at.get(f"/credentials/{one['credential_id']}.json").text
    forged.write_text(text.replace("Siti", "Sita").replace("Perangkat Lunak", "Perangkat Keras"))
    found: dict[str, str] = {}
    page = window()
    page.goto("/verify")
    found |= barriers(page)
    picture(page, "verify-form", tmp_path)
    page.evaluate(
        """bytes => {
            const dropped = new DataTransfer()
            dropped.items.add(new File([new Uint8Array(bytes)], "badge.png", {type: "image/png"}))
            const place = document.querySelector("[data-drop]")
            for (const kind of ["dragenter", "dragover", "drop"])
                place.dispatchEvent(
                    new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: dropped}))
        }""",
        list(good.read_bytes()),
    )
    page.get_by_role("heading", name="Lencana ini asli dan berlaku").wait_for()
    found |= barriers(page, "dark", "light")
    picture(page, "verify-good", tmp_path)
    page.get_by_role("link", name="Periksa yang lain").click()

    plain = window(java_script_enabled=False)
    plain.set_viewport_size(PHONE)
    for file, title, name in (
        (forged, "Lencana ini tidak asli", "verify-forged-phone"),
        (spoilt, "Ini bukan lencana yang dapat diperiksa", "verify-spoilt-phone"),
    ):
        plain.goto("/verify")
        plain.get_by_label("Seret berkas ke sini, atau pilih").set_input_files(file)
        plain.get_by_role("button", name="Periksa").click()
        plain.get_by_role("heading", name=title).wait_for()
        assert wide(plain) <= PHONE["width"]
        picture(plain, name, tmp_path)
    large = tmp_path / "large.png"
    large.write_bytes(b"x" * 12_000_000)
    plain.goto("/verify?lang=en")
    plain.get_by_label("Drop a file here, or choose one").set_input_files(large)
    plain.get_by_role("button", name="Check it").click()
    plain.get_by_role("heading", name="The file is too large").wait_for()
    assert found == {}


def test_everything_is_reached_by_keyboard(at: httpx.Client, window: Callable[..., "Page"]) -> None:  # noqa: F811
    one = a_learner(at, "CERT-2026-001236")
    page = window()
    page.goto(f"/credentials/{one['credential_id']}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Langsung ke isi"
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        reached.append(page.evaluate("document.activeElement.innerText"))
    for wanted in ("English", "Gambar PNG", "Tambahkan ke profil LinkedIn", "Periksa berkas lencana"):
        assert wanted in reached


def test_a_credential_is_revoked_in_the_console(
    at: httpx.Client,  # noqa: F811
    window: Callable[..., "Page"],
    tmp_path: Path,
) -> None:
    one = a_learner(at, "CERT-2026-001237")
    assert exported(UUID(one["process_id"])) == 1
    a_learner(at, "CERT-2026-001238")
    why = {"reason": "Being looked at"}
    at.post(f"/api/v1/credentials/{one['credential_id']}/suspend", json=why).raise_for_status()
    at.post(f"/api/v1/credentials/{one['credential_id']}/restore").raise_for_status()
    with unit_of_work() as session:
        key = clients.create(session, "dewi", ["credentials:write"])[1].text
    page, found = window(), dict[str, str]()
    page.goto("/console/credentials")
    page.get_by_label("Your key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Credentials").wait_for()
    found |= barriers(page)
    picture(page, "console-credentials", tmp_path)
    page.get_by_role("textbox", name="Find").fill("CERT-2026-001237")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="CERT-2026-001238").wait_for(state="detached")
    page.get_by_role("link", name="CERT-2026-001237").click()
    page.get_by_role("heading", name="Revoke it for good").wait_for()
    found |= barriers(page)
    picture(page, "console-credential", tmp_path, whole=True)
    page.get_by_label("Why it counts no more").fill("Issued in error")
    page.get_by_role("button", name="Revoke for good").click()
    assert page.url.endswith(one["credential_id"])  # the box is not ticked, and the browser says so
    page.get_by_label("I mean it").check()
    page.get_by_role("button", name="Revoke for good").click()
    page.get_by_text("Revoked. The page, the API and the status list say so").wait_for()
    page.set_viewport_size(PHONE)
    assert wide(page) <= PHONE["width"]
    found |= barriers(page)
    assert found == {}

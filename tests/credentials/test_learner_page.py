"""The learner's page in Chromium: on a phone and a desktop, by keyboard, in both languages, no barriers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from chromium import CHROMIUM, QUIET, needs_chromium, picture
from networking import Network, credentials, worked
from registry import LPK, holder, told

from records import credential_state, process, training_centre
from records.db import unit_of_work
from records.process import ProcessRun

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs_chromium
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def test_a_learner_connects_shares_and_reads_what_became_of_it(network: Network, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    sub = network.joins()
    with unit_of_work() as session:
        training_centre.set_brand(
            session, LPK, name="LPK Teknologi Indonesia", url=None, colour=None, logo=None, logo_type=None
        )
    revoked = told([holder(7, learner_id="learner-0")], targets=()).credentials[0].id
    with unit_of_work() as session:
        credential_state.apply(session, revoked, "revoked", source="test", reason="Issued in error")
    first, second = (one.id for one in credentials(2).credentials)
    said: list[str] = []
    barriers: dict[str, Any] = {}

    def look_for_barriers(page: "Page", name: str) -> None:
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its words
            barriers[f"{name}, {scheme}"] = Axe().run(page, options=RULES)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        window = browser.new_context(
            viewport={"width": 390, "height": 844}, locale="id-ID", permissions=["clipboard-write"]
        )
        page = window.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.goto(network.connect()["learner_page_url"])
        look_for_barriers(page, "not connected")
        # By keyboard to LinkedIn and back.
        link = page.get_by_role("link", name="Sambungkan LinkedIn")
        for _ in range(12):
            page.keyboard.press("Tab")
            if link.evaluate("one => one === document.activeElement"):
                break
        page.keyboard.press("Enter")
        page.get_by_label("Masuk sebagai").select_option(sub)
        page.get_by_role("button", name="Izinkan").click()
        page.get_by_text("LinkedIn sudah tersambung.").wait_for()
        assert page.url.endswith("/linkedin?said=connected")
        # Add to profile: the values can be copied.
        page.locator("article summary").nth(0).click()
        page.get_by_role("button", name="Salin URL kredensial").first.click()
        page.locator("#copied").get_by_text("Tersalin: URL kredensial").wait_for(state="attached")
        assert (
            page.get_by_role("link", name="Buka formulir").first.get_attribute("rel") == "noopener noreferrer"
        )
        # Share one, and meet the end of the permission with the other.
        for text in ("Saya lulus! #SKKNI", "Satu lagi #SKKNI"):
            page.locator("article", has_text="Bagikan sebagai kiriman").first.locator("summary").last.click()
            page.get_by_label("Teks kiriman").first.fill(text)
            page.get_by_role("button", name="Bagikan di LinkedIn").first.click()
            page.get_by_text("Kiriman sedang disiapkan. Muat ulang").wait_for()
        network.fails("post", "code", code="401")
        states = worked(*_runs())
        with unit_of_work() as session:
            for run in _runs():
                process.finish(session, run, "needs_attention", error={})
        assert sorted(one.state for one in states.values()) == ["needs_attention", "needs_attention"]
        assert set(states) == {first, second}
        page.goto(page.url.partition("?")[0])
        page.get_by_text("Kiriman belum terbit: sambungkan LinkedIn lagi").first.wait_for()
        look_for_barriers(page, "needs reconnect")
        picture(page, "learner-reconnect-phone", tmp_path)
        page.get_by_role("link", name="Sambungkan lagi").click()
        page.get_by_label("Masuk sebagai").select_option(sub)
        page.get_by_role("button", name="Izinkan").click()
        page.get_by_role("button", name="Lanjutkan kiriman yang tertunda (2)").click()
        page.get_by_text("Kiriman yang tertunda dilanjutkan.").wait_for()
        worked(*_runs())
        page.goto(page.url.partition("?")[0])
        assert page.get_by_role("link", name="Lihat kiriman").count() == 2
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.get_by_role("link", name="English").click()
        page.get_by_role("heading", name="Your certificates on LinkedIn").wait_for()
        page.locator("article summary").nth(0).click()
        look_for_barriers(page, "connected")
        picture(page, "learner-linkedin", tmp_path)
        page.set_viewport_size({"width": 390, "height": 844})
        picture(page, "learner-linkedin-phone", tmp_path)
        page.get_by_role("button", name="Done on this device").click()
        page.get_by_role("heading", name="The session on this device has ended.").wait_for()
        browser.close()
    assert not [text for text in said if text.startswith(("error", "warning"))]
    found = {name: one.generate_report() for name, one in barriers.items() if one.violations_count}
    assert found == {}
    assert len(network.posts(sub)) == 2


def _runs() -> list[Any]:
    """Every process."""
    with unit_of_work() as session:
        return list(session.scalars(sa.select(ProcessRun.id)))

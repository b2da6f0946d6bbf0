"""The public page of a credential: what it says, to whom, for how long, and what it never says."""

import io
import re
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from registry import exported
from test_credentials_api import TOLD, made

from api.public_words import WORDS, language_of
from common.settings import settings
from records import credential_state
from records.db import unit_of_work

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
NAMED = {"id": "learner-4711", "name": "Siti Aminah", "email": "siti@example.id", "show_name": True}
NOBODY = "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"


def see(at: httpx.Client, path: str, status: int = 200, **headers: str) -> str:
    """The words of a page, as a browser of nobody's in particular gets it."""
    answer = httpx.get(f"{at.base_url}{path}", headers=BROWSER | headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    return unescape(answer.text)


def test_it_says_what_was_learnt_by_whom_issued_and_how_it_stands(at: httpx.Client) -> None:
    one = made(at, certificate_number="PAGE-1", learner=NAMED)
    page = see(at, f"/credentials/{one['credential_id']}")
    for said in (
        "Pengembangan Perangkat Lunak", "Siti Aminah", "LPK LPK-3171-0042", "J.620100.004.02",
        "Menggunakan Struktur Data", "Jenjang 6", "15 Juli 2026", "15 Juli 2031", "92.50", "PAGE-1",
        "Berlaku", f"{one['url']}/card.png?lang=id",
        'property="og:title"', 'property="og:description"', 'content="noindex"',
        "https://www.linkedin.com/profile/add?startTask=CERTIFICATION_NAME",
    ):  # fmt: skip
        assert said in page, said
    english = see(at, f"/credentials/{one['credential_id']}?lang=en")
    assert '<html lang="en">' in english
    assert "15 July 2026" in english
    assert '<bdi lang="id">Pengembangan' in english  # told in Indonesian only, and marked so
    assert '<html lang="id">' in page


def test_the_name_and_the_number_stand_there_only_where_the_learner_agreed(at: httpx.Client) -> None:
    one = made(at, certificate_number="PAGE-2")
    page = see(at, f"/credentials/{one['credential_id']}")
    assert "Siti Aminah" not in page
    assert "PAGE-2" not in page
    assert "siti@example.id" not in page
    assert "tanpa persetujuannya" in page


def test_the_learner_agrees_later_and_takes_it_back(at: httpx.Client) -> None:
    one = made(at, certificate_number="PAGE-2b")
    path, word = (
        f"/credentials/{one['credential_id']}",
        f"/api/v1/credentials/{one['credential_id']}/show-name",
    )
    assert at.post(word, json={"show_name": "yes"}).status_code == 422
    for _ in range(2):  # told twice is told once
        events = at.post(word, json={"show_name": True}).raise_for_status().json()["events"]
    assert [event["reason"] for event in events] == ["the learner agreed to show the name"]
    assert "Siti Aminah" in see(at, path)
    assert "PAGE-2b" in see(at, path)
    at.post(word, json={"show_name": False}).raise_for_status()
    assert "Siti Aminah" not in see(at, path)
    assert "PAGE-2b" not in see(at, path)
    assert at.post(f"/api/v1/credentials/{uuid4()}/show-name", json={"show_name": True}).status_code == 404


def test_a_state_is_seen_by_the_next_who_looks_on_page_api_and_list(at: httpx.Client) -> None:
    one = made(at, certificate_number="PAGE-3")
    path, api = f"/credentials/{one['credential_id']}", f"/api/v1/credentials/{one['credential_id']}"
    lists = "/status/revocation/1"
    before = {where: at.get(where, headers=BROWSER) for where in (path, f"{path}/card.png", lists)}
    for where, answer in before.items():
        kept = re.search(r"max-age=(\d+)", answer.headers["Cache-Control"])
        assert kept is None or int(kept[1]) <= 60, where
        assert "no-cache" in answer.headers["Cache-Control"] or kept is not None
        seen = {"If-None-Match": answer.headers["ETag"]}
        assert at.get(where, headers=BROWSER | seen).status_code == 304
    assert at.get(api).headers["Cache-Control"] == "no-store"
    for action, word, reason in (
        ("suspend", "Ditangguhkan", "Sedang diperiksa"),
        ("restore", "Berlaku", None),
        ("revoke", "Dicabut", "Diterbitkan keliru"),
    ):
        last = at.get(path, headers=BROWSER).headers["ETag"]
        at.post(f"{api}/{action}", json={"reason": reason} if reason else None).raise_for_status()
        answer = at.get(path, headers=BROWSER | {"If-None-Match": last})
        assert answer.status_code == 200
        page = unescape(answer.text)
        assert f'id="state">{word}<' in page
        assert reason is None or reason in page
    for where in before:
        assert at.get(where, headers=BROWSER).headers["ETag"] != before[where].headers["ETag"], where
    assert "linkedin.com" not in page
    assert "badge.svg" not in page


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"issued_on": "2020-01-01", "expires_on": "2021-01-01"}, "Kedaluwarsa"),
        ({"expires_on": None}, "Tanpa batas waktu"),
    ],
)
def test_dates_are_those_of_jakarta(at: httpx.Client, changed: dict[str, Any], state: str) -> None:
    one = made(at, certificate_number=f"PAGE-{state}", **changed)
    assert state in see(at, f"/credentials/{one['credential_id']}")


def test_what_is_not_there_and_what_was_erased_say_so(at: httpx.Client) -> None:
    assert "Tidak ditemukan" in see(at, f"/credentials/{NOBODY}", 404)
    assert "Not found" in see(at, f"/credentials/{NOBODY}", 404, **{"Accept-Language": "en-GB"})
    for below in ("qr.svg", "card.png", "certificate.pdf", "europass.json"):
        assert at.get(f"/credentials/{NOBODY}/{below}").status_code == 404
    one = made(at, certificate_number="PAGE-4", learner=NAMED)
    with unit_of_work() as session:
        credential_state.withdraw(session, "learner-4711", source="operator:dpo")
    page = see(at, f"/credentials/{one['credential_id']}", 410)
    assert "Ditarik" in page
    for gone in ("Siti", "Pengembangan", "PAGE-4", "og:image", "92.50"):
        assert gone not in page
    assert at.get(f"/credentials/{one['credential_id']}/card.png").status_code == 404


def test_files_with_the_name_are_there_only_where_it_was_agreed_to_and_they_were_made(
    at: httpx.Client,
) -> None:
    named = made(at, certificate_number="PAGE-5", learner=NAMED)
    unnamed = made(at, certificate_number="PAGE-6")
    path = f"/credentials/{named['credential_id']}"
    settings().europass.base_url = ""  # made for download, and sent nowhere
    assert "certificate.pdf" not in see(at, path)
    assert httpx.get(f"{at.base_url}{path}/certificate.pdf").status_code == 404
    ids = [named["credential_id"], unnamed["credential_id"]]
    asked = at.post("/api/v1/credentials/export", json={"credential_ids": ids, "targets": ["europass"]})
    assert exported(UUID(asked.json()["process_id"]), "europass") == 2
    assert "certificate.pdf" in see(at, path)
    assert httpx.get(f"{at.base_url}{path}/certificate.pdf").content.startswith(b"%PDF")
    assert "Siti Aminah" in httpx.get(f"{at.base_url}{path}/europass.json").text
    for below in ("certificate.pdf", "europass.json"):
        assert httpx.get(f"{at.base_url}/credentials/{ids[1]}/{below}").status_code == 404
    at.post(f"/api/v1{path}/revoke", json={"reason": "x"}).raise_for_status()
    assert httpx.get(f"{at.base_url}{path}/europass.json").status_code == 404


NAMES = (
    "Ni'mah", "Sukarno", "محمد عبد الله", "ꦱꦶꦠꦶ", "x" * 200, "<b onclick=alert(1)>Siti</b>",
    "\u202eSiti\u202c \u2066x", '"><script>alert(1)</script>', "{{ 7*7 }} #sys.version",
)  # fmt: skip


def test_a_name_of_any_script_is_text_on_page_card_and_pdf(at: httpx.Client) -> None:
    for number, name in enumerate(NAMES):
        achievement = TOLD["achievement"] | {"name": f"Las {name}"[:200], "description": name}
        learner = NAMED | {"name": name}
        one = made(at, certificate_number=f"PAGE-7-{number}", learner=learner, achievement=achievement)
        path = f"/credentials/{one['credential_id']}"
        raw = httpx.get(f"{at.base_url}{path}", headers=BROWSER).text
        assert f'<strong dir="auto">{name}</strong>' in unescape(raw)
        assert "<script" not in raw
        assert "<b onclick" not in raw
        head = raw[: raw.index("</head>")]
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", head)  # they would turn the texts of others
        card = at.get(f"{path}/card.png").content
        assert card.startswith(b"\x89PNG")
        assert int.from_bytes(card[16:20], "big") == 1200
        assert at.get(f"/api/v1{path}/certificate.pdf").content.startswith(b"%PDF")


def test_nothing_foreign_is_loaded_and_nothing_stands_in_the_page(at: httpx.Client) -> None:
    one = made(at, certificate_number="PAGE-8")
    answer = at.get(f"/credentials/{one['credential_id']}", headers=BROWSER)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in answer.text
    assert "<style" not in answer.text
    loaded = re.findall(
        r'<(?:img|link rel="(?:icon|stylesheet)"|script)[^>]* (?:src|href)="([^"]+)"', answer.text
    )
    assert loaded
    assert all(one.startswith("/") for one in loaded)
    assert answer.headers["X-Robots-Tag"] == "noindex"


def test_who_asks_with_head_gets_the_headers_of_the_page_and_uses_nothing_up(at: httpx.Client) -> None:
    path = f"/credentials/{made(at)['credential_id']}"
    for below in ("", ".json", "/badge.png", "/card.png", "/unknown"):
        read = at.get(path + below)
        asked = at.head(path + below)
        assert (asked.status_code, asked.content) == (read.status_code, b""), below
        for name in ("Content-Type", "Content-Length"):
            assert asked.headers[name] == read.headers[name], below
    assert [at.head(one).status_code for one in ("/verify", "/.well-known/did.json")] == [200, 200]
    assert at.head("/linkedin/start?ticket=a").status_code == 405


def test_search_engines_may_list_it_where_the_setting_says_so(
    at: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(at, certificate_number="PAGE-9")
    monkeypatch.setenv("JEMBATAN_BADGES__MAY_BE_INDEXED", "true")
    settings.cache_clear()
    answer = at.get(f"/credentials/{one['credential_id']}", headers=BROWSER)
    assert "noindex" not in answer.text
    assert "X-Robots-Tag" not in answer.headers


def test_the_qr_code_holds_the_address_of_the_page(at: httpx.Client) -> None:
    import segno

    one = made(at, certificate_number="PAGE-10")
    drawn = at.get(f"/credentials/{one['credential_id']}/qr.svg")
    assert drawn.headers["Content-Type"] == "image/svg+xml"
    again = io.BytesIO()
    segno.make(one["url"], error="m", micro=False).save(again, kind="svg", scale=8, border=3)
    shape = re.compile(rb' d="([^"]+)"')
    assert shape.findall(drawn.content)[-1] == shape.findall(again.getvalue())[-1]


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        (None, "", "id"), ("en", "id", "en"), (None, "en-GB,en;q=0.9", "en"), (None, "id-ID,en;q=0.9", "id"),
        (None, "de,en;q=0.5,id;q=0.3", "en"), (None, "de", "id"), ("xx", "en", "en"), (None, "en;q=x", "id"),
        (None, "ms", "id"),
    ],
)  # fmt: skip
def test_the_language_is_the_readers(asked: str | None, accepted: str, language: str) -> None:
    assert language_of(asked, accepted) == language


def test_both_languages_say_the_same_things() -> None:
    assert WORDS["id"].keys() == WORDS["en"].keys()
    for name, text in WORDS["id"].items():
        places = [sorted(re.findall(r"\{\w*\}", said)) for said in (text, WORDS["en"][name])]
        assert places[0] == places[1], name

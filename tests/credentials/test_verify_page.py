"""The page that checks badges: as a plain form over HTTP, with good badges, forged ones and no badges."""

import json
import re
import struct
import zlib
from collections.abc import Callable
from html import unescape
from pathlib import Path

import httpx
import jwt as pyjwt
import pytest
from issuer import STRANGER, jwk, running
from registry import header, payload
from test_badge_checks import OFFICIAL, _b64, _picture
from test_credentials_api import made

from api import form_files
from api.finding_words import INDONESIAN
from providers.open_badges import baking

ROOT = Path(__file__).parents[2]
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def own(at: httpx.Client) -> Callable[[str], bytes]:
    one = made(at, certificate_number="VERIFY-1")

    def read(form: str) -> bytes:
        return at.get(f"/credentials/{one['credential_id']}{form}").raise_for_status().content

    return read


def shown(at: httpx.Client, badge: bytes, lang: str = "en", **more: bytes) -> str:
    """What the page says of a file."""
    answer = httpx.post(
        f"{at.base_url}/verify?lang={lang}", files={"file": ("b", badge)}, data=more, headers=BROWSER
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/html")
    return unescape(answer.text)


def outcomes(page: str) -> list[str]:
    return re.findall(r'<li class="(passed|failed|unknown|not_done)">', page)


def test_a_badge_of_ours_is_dropped_as_a_file_or_pasted(
    at: httpx.Client, own: Callable[[str], bytes]
) -> None:
    for form in ("/badge.png", "/badge.svg", ".json", ".jws"):
        page = shown(at, own(form))
        assert "This badge is genuine and valid" in page, form
        assert outcomes(page) == ["passed"] * 5
        assert "Pengembangan Perangkat Lunak" in page
    pasted = httpx.post(
        f"{at.base_url}/verify",
        files={"file": ("", b"")},
        data={"text": own(".jws").decode()},
        headers=BROWSER,
    )
    assert "Lencana ini asli dan berlaku" in pasted.text
    assert at.post("/verify", content=own(".jws")).json()["state"] == "valid"  # programs get what they got


def test_a_badge_of_another_issuer_leads_to_no_page_of_ours(
    at: httpx.Client, own: Callable[[str], bytes]
) -> None:
    """However good it is: it could bear the address of anybody's certificate."""
    page_of_ours = payload(own(".jws").decode())["id"]
    link = f'<a href="/credentials/{page_of_ours.rpartition("/")[2]}?lang=en">'
    assert link in shown(at, own(".jws"))
    with running() as another:
        page = shown(at, another.signed(another.badge(id=page_of_ours)).encode())
    assert "This badge is genuine and valid" in page
    assert page_of_ours in page
    assert link not in page


def test_a_revoked_one_says_so_with_the_reason(at: httpx.Client, own: Callable[[str], bytes]) -> None:
    badge = own("/badge.png")
    name = payload(own(".jws").decode())["id"].rpartition("/")[2]
    at.post(f"/api/v1/credentials/{name}/revoke", json={"reason": "<i>Keliru</i>"}).raise_for_status()
    page = shown(at, badge, "id")
    assert "Lencana ini sudah dicabut" in page
    assert "Penerbit sudah mencabutnya" in page
    raw = httpx.post(f"{at.base_url}/verify", files={"file": ("b", badge)}, headers=BROWSER).text
    assert "&lt;i&gt;Keliru" in raw


def forged(own: Callable[[str], bytes], how: str) -> bytes:
    """A badge of ours made into something that it is not."""
    jws = own(".jws").decode()
    said, named = payload(jws), header(jws)
    body = jws.split(".")[1]
    plain = {"kid": named["kid"], "typ": "JWT"}
    if how == "alg none":
        return f"{_b64(json.dumps(plain | {'alg': 'none'}).encode())}.{body}.".encode()
    if how == "HS256 with the public key":
        return f"{_b64(json.dumps(plain | {'alg': 'HS256'}).encode())}.{body}.{_b64(b'x' * 32)}".encode()
    if how == "a jwk of its own":
        return pyjwt.encode(said, STRANGER, "RS256", {**plain, "jwk": jwk(STRANGER)}).encode()
    if how == "a changed letter":
        return own(".json").replace(b"Pengembangan", b"Pengembangun")
    if how == "a member twice":
        return own(".json").replace(b'"validFrom"', b'"validFrom":"2020-01-01T00:00:00Z","validFrom"', 1)
    if how == "a tampered picture":
        picture = bytearray(own("/badge.png"))
        picture[picture.index(b"openbadgecredential") + 60] ^= 1
        return bytes(picture)
    if how == "a bomb in a chunk":
        packed = zlib.compress(b"a" * 50_000_000, 9)
        data = baking.KEYWORD + b"\0\1\0\0\0" + packed
        crc = struct.pack(">I", zlib.crc32(b"iTXt" + data))
        return _picture(struct.pack(">I", len(data)) + b"iTXt" + data + crc)
    if how == "too much text":
        return b'{"a":"' + b"x" * 300_000 + b'"}'
    assert how == "no badge"
    return b"hello <script>alert(1)</script>"


FORGED = [
    ("alg none", "not genuine", "not signed at all", "Tidak ditandatangani sama sekali"),
    ("HS256 with the public key", "not genuine", "made with a shared secret", "dapat dimiliki siapa saja"),
    ("a jwk of its own", "not genuine", "own keys do not include", "tidak termasuk kunci penerbit"),
    ("a changed letter", "not genuine", "signature does not fit", "Tanda tangannya tidak cocok"),
    ("a member twice", "no badge that can be", "stands in it twice", "ditulis dua kali"),
    ("a tampered picture", "no badge that can be", "check sum is wrong", "sudah diubah"),
    ("a bomb in a chunk", "no badge that can be", "Unpacked, the badge has more than", "Terlalu besar"),
    ("too much text", "no badge that can be", "more than 256 KiB", "Terlalu besar"),
    ("no badge", "no badge that can be", "There is no badge in this", "Tidak ada lencana"),
]
SPOILT = {
    "simple-err-proof-value.json": "signature does not fit",
    "simple-err-issuer-type.json": "its type is not",
    "simple-err-context.json": "not that of verifiable credentials",
    "simple-err-proof-method-no-scheme.json": "does not say which key",
    "simple.jwt": "version 1.1",
}


def test_what_is_forged_is_refused_with_the_reason_in_both_languages(
    at: httpx.Client, own: Callable[[str], bytes]
) -> None:
    for how, title, english, indonesian in FORGED:
        badge = forged(own, how)
        page = shown(at, badge)
        assert title in page, how
        assert english in page, how
        assert "failed" in outcomes(page), how
        assert len(outcomes(page)) == 5
        assert "<script>alert" not in page
        assert indonesian in shown(at, badge, "id"), how


def test_the_spoilt_official_samples_are_refused_for_the_right_reason(at: httpx.Client) -> None:
    for name, found in SPOILT.items():
        page = shown(at, (OFFICIAL / name).read_bytes())
        assert found in page, name
        assert "genuine and valid" not in page


def test_a_sample_whose_issuer_nobody_confirms_is_not_called_genuine(at: httpx.Client) -> None:
    page = shown(at, (OFFICIAL / "simple-did-key-method.json").read_bytes())
    assert "Its issuer cannot be confirmed" in page
    assert outcomes(page)[:3] == ["passed", "passed", "unknown"]


def test_nothing_and_too_much_are_said_in_words(at: httpx.Client) -> None:
    empty = httpx.post(f"{at.base_url}/verify?lang=en", files={"file": ("", b"")}, headers=BROWSER)
    assert empty.status_code == 422
    assert "Choose a file or paste something first." in empty.text
    large = httpx.post(
        f"{at.base_url}/verify?lang=en", files={"file": ("b", b"x" * 6_000_000)}, headers=BROWSER
    )
    assert large.status_code == 413
    assert "at most 5 MiB" in large.text
    assert at.post("/verify", content=b"x" * 6_000_000).json()["status"] == 413


def test_a_time_that_is_nearly_the_last_one_breaks_nothing(
    at: httpx.Client, own: Callable[[str], bytes]
) -> None:
    said = json.loads(own(".json")) | {"validUntil": "9999-12-31T23:59:59Z"}
    assert "not genuine" in shown(at, json.dumps(said).encode())


def test_every_finding_has_words_in_indonesian() -> None:
    """But those that only a status list can have, which stands behind `not_known`."""
    source = "".join(
        (ROOT / "providers/open_badges" / f"{name}.py").read_text()
        for name in ("verify", "proofs", "shape", "reading")
    )
    by_kind = {"Unreadable": "shape", "Misshapen": "shape", "Unproven": "signature"}
    for kind, check in by_kind.items():
        for code in re.findall(rf'{kind}\(\s*"(\w+)"', source):
            assert (check, code) in INDONESIAN, code
    for check, code in re.findall(r'report\.add\(\s*"(\w+)", "\w+", "(\w+)"', source):
        assert (check, code) in INDONESIAN, code


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data"), (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b"no boundary", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--", 'multipart/form-data; boundary="x"'),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_read_holds_nothing(body: bytes, kind: str) -> None:
    assert form_files.fields(body, kind) == {}


def test_a_forms_first_fields_are_read() -> None:
    form = httpx.Request("POST", "http://x", files={"file": ("a", b"\r\n--y\0")}, data={"text": "ä"})
    found = form_files.fields(form.read(), form.headers["Content-Type"])
    assert found == {"text": "ä".encode(), "file": b"\r\n--y\0"}

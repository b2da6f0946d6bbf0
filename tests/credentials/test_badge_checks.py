"""Badges of ours and of others are checked by name; forged ones are refused with the reason."""

import base64
import hashlib
import hmac
import json
import socket
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import issuer as others
import pytest
from issuer import KEY, STRANGER, Issuer, jwk
from registry import header, payload
from test_credentials_api import made

from common.settings import settings
from credentials import checking
from providers.open_badges import baking, document, png
from providers.open_badges.fetching import Fetcher
from providers.open_badges.verify import Report

OFFICIAL = Path(__file__).parent / "official"


@pytest.fixture(scope="module")
def serving() -> Iterator[Issuer]:
    with others.running() as issuer:
        yield issuer


@pytest.fixture
def another(serving: Issuer, at: httpx.Client) -> Issuer:
    """Another issuer, as it is at first."""
    serving.publish(jwk())
    serving.list_revoked()
    serving.asked.clear()
    return serving


def check(badge: str | bytes) -> Report:
    return checking.check(badge.encode() if isinstance(badge, str) else badge)


def faults(report: Report) -> dict[str, str]:
    return {one.name: one.code for one in report.checks if one.outcome in ("failed", "unknown")}


# Ours


@pytest.fixture
def own(at: httpx.Client) -> Callable[[str], bytes]:
    one = made(at)
    path = f"/credentials/{one['credential_id']}"

    def read(form: str) -> bytes:
        return at.get(path + form).raise_for_status().content

    read.path = path  # type: ignore[attr-defined]  # a test's own note
    return read


@pytest.mark.parametrize("form", [".jws", ".json", "/badge.png", "/badge.svg"])
def test_a_badge_of_ours_passes_every_check_in_every_form(own: Callable[[str], bytes], form: str) -> None:
    report = check(own(form))
    assert report.state == "valid", faults(report)
    assert [one.outcome for one in report.checks] == ["passed"] * 5


def test_what_the_address_of_a_badge_gives_is_chosen_by_accept(
    at: httpx.Client, own: Callable[[str], bytes]
) -> None:
    path = own.path  # type: ignore[attr-defined]  # see above
    for accept, starts in (
        ("*/*", b"<!doctype html>"),  # so do networks that make a card of a link
        ("", b"<!doctype html>"),
        ("*/*, application/json", b"{"),
        ("application/json, text/plain, */*", b"{"),
        ("application/vc+ld+json", b"{"),
        ("application/xml", b"{"),
        ("application/vc+jwt", b"ey"),
        ("image/png;q=0.9, text/plain;q=0.1", png.SIGNATURE),
        ("image/avif,image/webp,image/*;q=0.9,*/*;q=0.8", png.SIGNATURE),
        ("image/svg+xml", b"<svg"),
        ("text/html;q=0, application/json;q=0.1", b"{"),
    ):
        assert at.get(path, headers={"Accept": accept}).content.startswith(starts), accept
    answer = at.get(path, headers={"Accept": "application/vc+jwt"})
    assert answer.headers["Content-Type"].startswith("application/vc+jwt")


def test_revoked_suspended_and_restored_are_seen_at_once(
    at: httpx.Client, own: Callable[[str], bytes]
) -> None:
    badge = own("/badge.png")
    api = "/api/v1" + own.path  # type: ignore[attr-defined]  # see above
    at.post(f"{api}/suspend", json={"reason": "Being looked at"})
    assert check(badge).state == "suspended"
    at.post(f"{api}/restore")
    assert check(badge).state == "valid"
    at.post(f"{api}/revoke", json={"reason": "Issued in error"})
    report = check(badge)
    assert (report.state, report.reason) == ("revoked", "Issued in error")


def test_one_changed_letter_breaks_both_forms(own: Callable[[str], bytes]) -> None:
    embedded = own(".json").replace(b"Pengembangan", b"Pengembangun")
    assert faults(check(embedded)) == {"signature": "bad_signature"}
    jws = own(".jws").decode()
    said = payload(jws) | {"name": "Ahli Utama"}
    body = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    head, _, signature = jws.split(".")
    assert faults(check(f"{head}.{body}.{signature}")) == {"signature": "bad_signature"}


def test_a_badge_that_claims_to_be_ours_and_brings_its_own_key_is_no_badge_of_ours(
    own: Callable[[str], bytes],
) -> None:
    import jwt as pyjwt

    said = payload(own(".jws").decode())
    for named in ({"jwk": jwk(STRANGER)}, header(own(".jws").decode()) | {"jwk": jwk(STRANGER)}):
        forged = pyjwt.encode(
            said, STRANGER, algorithm="RS256", headers={k: v for k, v in named.items() if k != "alg"}
        )
        report = check(forged)
        assert report.state == "bad_signature"
        assert faults(report) == {"key": "not_theirs", "signature": "wrong_key"}


def test_a_badge_that_claims_to_be_ours_has_no_key_fetched_for_it(
    another: Issuer, own: Callable[[str], bytes]
) -> None:
    did = header(own(".jws").decode())["kid"].partition("#")[0]
    forged = another.badge(issuer={"id": did, "type": ["Profile"], "name": "x"})
    report = check(another.signed(forged, iss=did, header={"kid": f"{another.base}/keys/1"}))
    assert (report.state, report.of("key").code) == ("bad_signature", "not_theirs")
    assert another.asked == []


def test_our_public_key_is_no_secret_to_sign_with(at: httpx.Client, own: Callable[[str], bytes]) -> None:
    jws = own(".jws").decode()
    head = {"alg": "HS256", "kid": header(jws)["kid"], "typ": "JWT"}
    signed = f"{_b64(json.dumps(head).encode())}.{jws.split('.')[1]}"
    known = next(one for one in at.get("/.well-known/jwks.json").json()["keys"] if one["kid"] == head["kid"])
    from jwt.algorithms import RSAAlgorithm

    secret = others.serialization
    public = RSAAlgorithm.from_jwk(json.dumps({k: known[k] for k in ("kty", "n", "e")}))
    text = public.public_bytes(secret.Encoding.PEM, secret.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[union-attr]  # it is a public one
    mac = hmac.digest(text, signed.encode(), hashlib.sha256)
    assert faults(check(f"{signed}.{_b64(mac)}")) == {"signature": "alg_symmetric"}
    none = f"{_b64(json.dumps(head | {'alg': 'none'}).encode())}.{jws.split('.')[1]}."
    assert faults(check(none)) == {"signature": "alg_none"}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# Pictures


def test_a_picture_that_was_tampered_with_is_refused(own: Callable[[str], bytes]) -> None:
    picture = own("/badge.png")
    at = picture.index(b"openbadgecredential") + 60
    changed = picture[:at] + bytes([picture[at] ^ 1]) + picture[at + 1 :]
    assert faults(check(changed)) == {"shape": "damaged"}
    cut = picture[: len(picture) // 2]
    assert faults(check(cut))["shape"] in ("damaged", "no_badge")


def test_a_picture_with_two_badges_does_not_choose(own: Callable[[str], bytes]) -> None:
    picture = own("/badge.png")
    extra = png.chunk(b"iTXt", baking.KEYWORD + b"\0\0\0\0\0a.b.c")
    end = picture.rindex(b"IEND") - 4
    assert faults(check(picture[:end] + extra + picture[end:])) == {"shape": "two_badges"}
    drawn = own("/badge.svg")
    twice = drawn.replace(b"</svg>", f'<x xmlns="{baking.NAMESPACE}"><credential/></x></svg>'.encode())
    assert faults(check(twice)) == {"shape": "two_badges"}


def test_a_badge_is_replaced_when_it_is_baked_anew(own: Callable[[str], bytes]) -> None:
    again = baking.bake_png(own("/badge.png"), "a.b.c")
    assert again.count(b"openbadgecredential") == 1
    assert again.endswith(png.chunk(b"IEND", b""))


def _picture(*chunks: bytes) -> bytes:
    ihdr = png.chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0")
    return png.SIGNATURE + ihdr + b"".join(chunks) + png.chunk(b"IEND", b"")


def test_bombs_cost_nothing() -> None:
    bomb = zlib.compress(b"a" * 200_000_000, 9)
    packed = _picture(png.chunk(b"iTXt", baking.KEYWORD + b"\0\1\0\0\0" + bomb))
    assert faults(check(packed)) == {"shape": "too_large"}
    assert faults(check(b"[" * 4_000_000)) == {"shape": "too_large"}
    assert faults(check(b'{"a":' * 40_000)) == {"shape": "no_json"}
    assert faults(check(b'{"a":' + b"[" * 200 + b"]" * 200 + b"}")) == {"shape": "too_deep"}
    assert faults(check(b"x" * 6_000_000)) == {"shape": "too_large"}
    laughs = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(12))
    svg = f'<!DOCTYPE svg [<!ENTITY l0 "ha">{laughs}]><svg xmlns="http://www.w3.org/2000/svg">&l12;</svg>'
    assert faults(check(svg))["shape"] in ("entities", "no_badge")
    many = _picture(*[png.chunk(b"tEXt", b"a\0b")] * 20_000)
    assert faults(check(many)) == {"shape": "damaged"}
    small = png.chunk(b"iTXt", baking.KEYWORD + b"\0\1\0\0\0" + zlib.compress(b"a" * 250_000, 9))
    tracemalloc.start()
    assert faults(check(_picture(*[small] * 200))) == {"shape": "two_badges"}
    assert tracemalloc.get_traced_memory()[1] < 10_000_000  # and not 200 times what each unpacks to
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", "no_badge"),
        ('{"id": 1, "id": 2}', "duplicate_members"),
        ('{"id": {"a": 1, "a": 1}}', "duplicate_members"),
        ('{"id": NaN}', "no_json"),
        ('{"id": 1e999}', "no_json"),
        ('{"id": "\\ud800"}', "no_json"),
        ("a.b.c", "no_jws"),
        ("<svg/>", "no_badge"),
        ("<html>", "no_badge"),
        ("{}", "wrong_context"),
    ],
)
def test_what_is_no_badge_is_told_so(database: str, text: str, code: str) -> None:
    report = check(text)
    assert (report.state, report.of("shape").code) == ("malformed", code)
    assert len(report.checks) == 5


def test_a_jwt_with_a_member_twice_reads_in_two_ways_and_is_refused(another: Issuer) -> None:
    import jwt as pyjwt

    text = json.dumps(another.badge())[:-1] + ',"validFrom":"2020-01-01T00:00:00Z"}'
    twice = pyjwt.PyJWS().encode(
        text.encode(), KEY, algorithm="RS256", headers={"kid": f"{another.did}#key-1"}
    )
    assert faults(check(twice)) == {"shape": "duplicate_members"}


# Others'


def test_a_badge_of_another_issuer_passes_by_its_did_and_its_list(another: Issuer) -> None:
    report = check(another.signed())
    assert report.state == "valid", faults(report)
    assert another.asked == ["/.well-known/did.json", "/status/1"]
    another.list_revoked(7)
    assert check(another.signed()).state == "revoked"


def test_a_list_that_another_signed_or_that_is_not_there_lets_nothing_pass(another: Issuer) -> None:
    another.list_revoked(key=STRANGER)
    report = check(another.signed())
    assert (report.state, faults(report)) == ("status_unavailable", {"status": "not_known"})
    del another.pages["/status/1"]
    assert check(another.signed()).state == "status_unavailable"
    another.pages["/status/1"] = b"x" * 2_000_000
    assert check(another.signed()).state == "status_unavailable"


@pytest.mark.parametrize(
    "changed", [{"statusPurpose": ["revocation"]}, {"statusPurpose": {}}, {"type": [{}]}, {"type": {}}]
)
def test_a_status_that_is_written_in_no_known_form_is_not_known(
    another: Issuer, changed: dict[str, Any]
) -> None:
    entry = another.badge()["credentialStatus"] | changed
    report = check(another.signed(another.badge(credentialStatus=entry)))
    assert (report.state, faults(report)) == ("status_unavailable", {"status": "not_known"})


def _named_schema(badge: dict[str, Any], **achievement: Any) -> dict[str, Any]:
    """The badge, which says that it fits the official schema, with another achievement."""
    subject = badge["credentialSubject"]
    said = subject | {"achievement": subject["achievement"] | achievement}
    return badge | {"credentialSubject": said, "credentialSchema": [document.SCHEMA]}


@pytest.mark.parametrize(
    ("achievement", "where"),
    [
        ({"type": "Achievement"}, "achievement.type"),
        ({"achievementType": "Sertifikat"}, "achievement.achievementType"),
        ({"tag": "las"}, "achievement.tag"),
        ({"inLanguage": "Indonesia"}, "achievement.inLanguage"),
        ({"criteria": {"narrative": 5}}, "achievement.criteria.narrative"),
        ({"endorsement": [{"id": "urn:x:1"}]}, "achievement.endorsement[0].type"),
        (
            {"resultDescription": [{"id": "urn:x:1", "type": ["ResultDescription"], "name": "Nilai",
                                    "resultType": "Score"}]},
            "achievement.resultDescription[0].resultType",
        ),
    ],
)  # fmt: skip
def test_a_badge_that_names_the_official_schema_has_to_fit_it(
    another: Issuer, achievement: dict[str, Any], where: str
) -> None:
    assert check(another.signed(_named_schema(another.badge()))).state == "valid"
    report = check(another.signed(_named_schema(another.badge(), **achievement)))
    assert (report.state, faults(report)) == ("malformed", {"shape": "off_schema"})
    assert f"credentialSubject.{where}:" in report.of("shape").detail


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"iss": "did:web:elsewhere.example"}, "claims_differ"),
        ({"sub": None}, "claims_differ"),
        ({"jti": "urn:uuid:1"}, "claims_differ"),
        ({"nbf": 1767225601}, "claims_differ"),
        ({"exp": 1999999999}, "claims_differ"),
    ],
)
def test_claims_that_do_not_repeat_the_badge_are_refused(
    another: Issuer, changed: dict[str, Any], code: str
) -> None:
    assert faults(check(another.signed(**changed))) == {"shape": code}


def test_a_key_that_the_issuer_does_not_publish_is_refused_whoever_brings_it(another: Issuer) -> None:
    stranger = another.signed(key=STRANGER, header={"jwk": jwk(STRANGER)})
    assert faults(check(stranger)) == {"key": "not_theirs", "signature": "wrong_key"}
    named = another.signed(key=STRANGER)
    assert faults(check(named)) == {"signature": "bad_signature"}
    elsewhere = another.signed(header={"kid": "did:web:elsewhere.example#key-1"})
    assert faults(check(elsewhere))["key"] == "not_theirs"
    private = jwk() | {"d": "AQAB"}
    assert faults(check(another.signed(header={"jwk": private}))) == {"signature": "private_key"}


def test_a_key_under_an_address_of_its_own_counts_where_the_issuer_publishes_it_too(another: Issuer) -> None:
    """A `kid` is an address that leads to a JWK: where it leads says nothing of who signed."""
    another.pages["/keys/1"] = json.dumps(jwk()).encode()
    named = {"kid": f"{another.base}/keys/1"}
    assert check(another.signed(header=named)).state == "valid"
    another.pages["/keys/1"] = json.dumps(jwk(STRANGER)).encode()
    assert check(another.signed(header=named, key=STRANGER)).state == "bad_signature"
    del another.pages["/keys/1"]
    assert check(another.signed(header=named)).state == "unknown_issuer"


def test_an_issuer_by_its_web_address_is_known_by_the_key_set_of_its_host(another: Issuer) -> None:
    profile = {"id": f"{another.base}/issuers/42", "type": ["Profile"], "name": "By address"}
    badge = another.badge(issuer=profile)
    badge.pop("credentialStatus")
    signed = another.signed(badge, header={"kid": "k1"}, iss=profile["id"])
    assert check(signed).state == "unknown_issuer"
    another.pages["/.well-known/jwks.json"] = json.dumps({"keys": [jwk() | {"kid": "k1"}]}).encode()
    report = check(signed)
    assert (report.state, report.of("status").code) == ("valid", "none")
    whose = jwk() | {"kid": "k1", "iss": f"{another.base}/issuers/43"}
    another.pages["/.well-known/jwks.json"] = json.dumps({"keys": [whose]}).encode()
    assert check(signed).state == "unknown_issuer"
    del another.pages["/.well-known/jwks.json"]


def test_dates_are_a_check_of_their_own(another: Issuer) -> None:
    over = another.signed(another.badge(validUntil="2026-02-01T00:00:00Z"), exp=1769904000)
    assert (check(over).state, check(over).of("signature").outcome) == ("expired", "passed")
    early = another.signed(another.badge(validFrom="2999-01-01T00:00:00Z"), nbf=32472144000)
    assert check(early).state == "not_yet_valid"


def test_in_production_nothing_is_fetched_from_within(
    another: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_ENV", "production")
    monkeypatch.setenv("JEMBATAN_PUBLIC_URL", "https://jembatan.example")
    settings.cache_clear()
    report = check(another.signed())
    assert (report.state, another.asked) == ("unknown_issuer", [])
    inner = another.badge(issuer={"id": "did:web:metadata.example", "type": ["Profile"], "name": "x"})
    signed = another.signed(inner, iss="did:web:metadata.example", header={"jwk": jwk()})

    def leads_within(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 443))]

    with Fetcher(resolve=leads_within) as fetcher:
        found = checking.check(signed.encode(), fetcher)
    assert "internal address" in found.of("key").detail


# Official samples


def nowhere(*_: Any, **__: Any) -> list[Any]:
    raise OSError("no such name")


@pytest.mark.parametrize(
    ("name", "state", "found"),
    [
        ("simple.json", "unknown_issuer", {"key": "no_keys"}),
        ("simple-did-key-method.json", "unknown_issuer", {"key": "no_keys"}),
        ("simple-multiple-proofs.json", "unknown_issuer", {"key": "no_keys"}),
        ("simple-json.svg", "unknown_issuer", {"key": "no_keys"}),
        ("simple-jwt.svg", "malformed", {"shape": "claims_differ"}),  # it has `aud` where `sub` is to be
        ("simple.jwt", "malformed", {"shape": "old_version"}),
        ("simple-err-expired.json", "expired", {"key": "no_keys", "dates": "expired"}),
        ("simple-err-proof-value.json", "bad_signature", {"key": "no_keys", "signature": "bad_signature"}),
        ("simple-err-issuer-type.json", "malformed", {"shape": "wrong_type"}),
        ("simple-err-evidence-type.json", "malformed", {"shape": "wrong_type"}),
        ("simple-err-context.json", "malformed", {"shape": "wrong_context"}),
        ("simple-err-proof-method-no-scheme.json", "bad_signature", {"signature": "no_method"}),
    ],
)
def test_official_samples_fit_and_the_spoilt_ones_are_refused_for_the_right_reason(
    database: str, name: str, state: str, found: dict[str, str]
) -> None:
    with Fetcher(resolve=nowhere) as fetcher:
        report = checking.check((OFFICIAL / name).read_bytes(), fetcher)
    assert (report.state, faults(report)) == (state, found)


def test_nothing_of_a_badge_is_believed_before_it_is_read(another: Issuer) -> None:
    report = check(another.signed())
    assert report.badge is not None
    assert UUID(report.badge["credentialSubject"]["id"].removeprefix("urn:uuid:"))

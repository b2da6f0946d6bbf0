"""What is not taken: wrong signatures, bodies and times that cannot be read, and anything at all."""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from counterpart import key_pair, snap
from hypothesis import given
from hypothesis import strategies as st
from messages import (
    GATEWAYS,
    NOW,
    OF_SNAP,
    PATH,
    SNAP_BODY,
    STAMP,
    TOKEN,
    is_ours,
    message_of,
    midtrans_message,
    refused,
    signed_by,
    snap_message,
    with_headers,
)

from providers.base import BadNotification, Incoming
from providers.ovo import Ovo


@pytest.mark.parametrize("profile", OF_SNAP)
def test_signatures_that_do_not_fit(profile: str) -> None:
    good = message_of(profile)
    for changed in (
        with_headers(good, x_signature=None),
        with_headers(good, x_signature=""),
        with_headers(good, x_signature="AAAA"),
        with_headers(good, x_signature="no base64!"),
        replace(good, headers=[*good.headers, ("x-signature", good.only("x-signature") or "")]),
        with_headers(good, x_timestamp="2026-11-25T09:00:01+07:00"),
        with_headers(good, x_timestamp="whenever"),
    ):
        assert refused(profile, changed) == (401, "signature")
    for changed in (
        with_headers(good, x_timestamp=None),
        replace(good, headers=[*good.headers, ("x-timestamp", STAMP)]),
    ):
        assert refused(profile, changed) == (400, "X-TIMESTAMP")
    if profile != "nicepay":  # its signature leaves these out, which is why it is confirmed
        for changed in (
            replace(good, body=good.body.replace(b"INV-1", b"INV-2")),
            replace(good, path="/elsewhere"),
            replace(good, method="PUT"),
        ):
            assert refused(profile, changed) == (401, "signature")


def test_another_key_than_the_aggregators_signs_nothing() -> None:
    for profile in ("nicepay", "faspay", "dana"):
        gateway = Ovo(
            snap(
                profile,
                provider_public_keys=snap(profile).provider_public_keys.__class__(key_pair("other")[2]),
            )
        )
        with pytest.raises(BadNotification, match="signature"):
            gateway.read_notification(message_of(profile))


def test_doku_signs_with_a_token_of_ours_that_lives() -> None:
    good = message_of("doku")
    with pytest.raises(BadNotification):
        GATEWAYS["doku"].read_notification(good)  # we gave no token
    assert refused("doku", snap_message("doku", good.body, token="stolen"))[0] == 401
    assert refused("doku", with_headers(good, authorization=None))[0] == 401
    assert refused("doku", with_headers(good, authorization=f"Basic {TOKEN}"))[0] == 401
    twice = replace(good, headers=[*good.headers, ("authorization", f"Bearer {TOKEN}")])
    assert refused("doku", twice)[0] == 401


@pytest.mark.parametrize("profile", OF_SNAP)
@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"7", b'"text"', b'{"a":', b'{"originalPartnerReferenceNo":"INV-1"',
        b"\xff\xfe{}",
        b'{"a":"\x00"}', b"[" * 65_536, b'{"a":' * 10_000, b'{"a":' + b"9" * 10_000 + b"}", b"\xef\xbb\xbf{}",
        b"{}", b'{"originalPartnerReferenceNo":7}', b'{"originalPartnerReferenceNo":""}',
        b'{"originalPartnerReferenceNo":"a\\u0000"}', b'{"originalPartnerReferenceNo":"\\ud800"}',
        b'{"originalPartnerReferenceNo":"' + b"x" * 300 + b'"}',
    ],
)  # fmt: skip
def test_a_rightly_signed_body_that_cannot_be_read_is_a_bad_request(profile: str, body: bytes) -> None:
    assert refused(profile, snap_message(profile, body))[0] == 400
    assert refused("gopay", replace(midtrans_message(), body=body))[0] == 400


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_body_made_to_take_long_takes_no_time(name: str) -> None:
    """A string without an end, of nothing but escaped quotes: a reader that tries each of them is at it for
    ten seconds, and all other requests wait. What counts is the time of the processor."""
    message = replace(message_of(name), body=b'{"a":"' + b'\\"' * 32_000)
    begun = time.thread_time()
    assert refused(name, message)[0] in (400, 401)
    assert time.thread_time() - begun < 1


@pytest.mark.parametrize("profile", ["doku", "faspay", "dana"])
def test_a_message_out_of_its_time_has_to_be_confirmed(profile: str) -> None:
    body = json.dumps(SNAP_BODY).encode()
    for minutes, confirm in (
        (0, False),
        (15, False),
        (-15, False),
        (16, True),
        (-16, True),
        (60 * 24 * 400, True),
    ):
        stamp = (NOW + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
        said = GATEWAYS[profile].read_notification(snap_message(profile, body, stamp), is_ours)
        assert said.confirm is confirm


@pytest.mark.parametrize("profile", OF_SNAP)
@pytest.mark.parametrize(
    "stamp",
    ["now", "2026-11-25", "2026-11-25T09:00:00", "2026-11-25 09:00:00+07:00", "1764036000000",
     "2026-13-25T09:00:00Z",
     "0001-01-01T00:00:00+23:59", "２026-11-25T09:00:00Z", "2026-11-25T09:00:00+99:99"],
)  # fmt: skip
def test_a_time_that_cannot_be_read_is_a_bad_request(profile: str, stamp: str) -> None:
    assert refused(profile, snap_message(profile, json.dumps(SNAP_BODY).encode(), stamp)) == (
        400,
        "X-TIMESTAMP",
    )


@pytest.mark.parametrize(
    "stamp", ["2026-11-25T02:00:00Z", "2026-11-25T09:00:00.123+07:00", "2026-11-25T09:00:00+0700"]
)
def test_a_time_may_have_any_form_of_the_standard(stamp: str) -> None:
    said = GATEWAYS["dana"].read_notification(snap_message("dana", json.dumps(SNAP_BODY).encode(), stamp))
    assert not said.confirm


# Tokens of ours


def token_request(**changed: Any) -> Incoming:
    values = {
        "client": "CLIENT-7",
        "stamp": "2026-11-25T02:00:00Z",
        "body": b'{"grantType":"client_credentials"}',
    } | changed
    signature = signed_by(key_pair("provider")[0], f"{values['client']}|{values['stamp']}")
    headers = [
        ("x-client-key", values["client"]),
        ("x-timestamp", values["stamp"]),
        ("x-signature", values.get("signature", signature)),
    ]
    return Incoming("POST", f"{PATH}/access-token/b2b", headers, values["body"], NOW)


def test_doku_gets_a_token() -> None:
    GATEWAYS["doku"].check_token_request(token_request())
    GATEWAYS["doku"].check_token_request(
        token_request(body=b'{"grantType":"client_credentials","additionalInfo":{}}')
    )
    reply = GATEWAYS["doku"].token_reply("sesame", 900)
    assert reply.status == 200
    members = json.loads(reply.body)
    assert (members["responseCode"], members["accessToken"], members["tokenType"]) == (
        "2007300",
        "sesame",
        "Bearer",
    )
    assert members["expiresIn"] == 900
    assert "X-TIMESTAMP" in reply.headers


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (token_request(client="CLIENT-8"), 401), (token_request(signature="AAAA"), 401),
        (token_request(stamp="2026-11-25T02:16:00Z"), 401),
        (token_request(stamp="2026-11-25T01:44:00Z"), 401),
        (token_request(stamp="soon"), 400), (token_request(body=b""), 400),
        (token_request(body=b"[" * 60_000), 400),
        (token_request(body=b'{"grantType":"password"}'), 400), (token_request(body=b"{}"), 400),
        (with_headers(token_request(), x_signature=None), 401),
        (with_headers(token_request(), x_timestamp=None), 400),
        (with_headers(token_request(), x_client_key=None), 400),
    ],
)  # fmt: skip
def test_who_else_asks_for_a_token_gets_none(message: Incoming, status: int) -> None:
    with pytest.raises(BadNotification) as problem:
        GATEWAYS["doku"].check_token_request(message)
    assert problem.value.status == status


@pytest.mark.parametrize("name", ["gopay", "nicepay", "faspay", "dana"])
def test_a_gateway_that_notifies_without_a_token_gets_none(name: str) -> None:
    with pytest.raises(BadNotification):
        GATEWAYS[name].check_token_request(token_request())


# Anything


names = (
    st.sampled_from(["x-signature", "x-timestamp", "authorization", "x-client-key", "content-type"])
    | st.text()
)
headers = st.lists(
    st.tuples(names, st.text() | st.sampled_from([STAMP, f"Bearer {TOKEN}", "AAAA", "Bearer"])), max_size=8
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(SNAP_BODY)) | st.text(), inner)
    ),
    max_leaves=10,
)
bodies = st.binary(max_size=500) | json_values.map(lambda value: json.dumps(value).encode())


def ends_in_words(act: Callable[[], object]) -> None:
    """Ends in a result or in BadNotification, nothing else."""
    with contextlib.suppress(BadNotification):
        act()


@given(st.sampled_from(list(GATEWAYS)), headers, bodies, st.text(), st.text())
def test_any_bytes_and_headers_are_a_notification_or_a_bad_one(
    name: str, headers: list[tuple[str, str]], body: bytes, method: str, path: str
) -> None:
    message = Incoming(method, path, headers, body, NOW)
    ends_in_words(lambda: GATEWAYS[name].read_notification(message, is_ours))
    ends_in_words(lambda: GATEWAYS[name].check_token_request(message))


@given(st.sampled_from(OF_SNAP), bodies)
def test_anything_that_is_rightly_signed_is_a_notification_or_a_bad_one(profile: str, body: bytes) -> None:
    ends_in_words(lambda: GATEWAYS[profile].read_notification(snap_message(profile, body), is_ours))


@given(
    st.dictionaries(st.sampled_from([*SNAP_BODY, "refundHistory"]), json_values),
    st.dictionaries(
        st.sampled_from(["transaction_status", "fraud_status", "settlement_time", "currency", "merchant_id"]),
        json_values,
    ),
)
def test_any_members_of_a_known_charge_are_a_notification(
    theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    body = json.dumps(SNAP_BODY | theirs | {"originalPartnerReferenceNo": "INV-1"}).encode()
    said = GATEWAYS["dana"].read_notification(snap_message("dana", body))
    assert said.reference == "INV-1"
    again = GATEWAYS["gopay"].read_notification(midtrans_message(**ours))
    for one in (said, again):
        for text in (one.word, one.currency or "", one.gateway_reference or ""):
            assert "\x00" not in text
            text.encode()

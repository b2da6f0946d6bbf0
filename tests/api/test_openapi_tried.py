"""The description is true: schemathesis sends what it allows and what it forbids. What it cannot send stands
at the end. Ten drawn cases for each operation, beside those at the bounds of each of its members.
"""

import contextlib
import http.client
import json
import socket

import httpx
import pytest
from schemathesis import Case
from till import order
from tried import CREATE, FEW, PAYMENTS, PROCESSES, World, described, follow

from api.callback_docs import MESSAGES
from api.problem_kinds import MEDIA_TYPE, TYPE
from common.settings import GATEWAYS


@described(FEW).parametrize()
def test_the_api_does_what_it_says(case: Case, world: World) -> None:
    world.try_out(case)


def test_what_was_made_is_there(world: World) -> None:
    follow(world, FEW)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_examples_of_messages_have_the_members_that_are_sent(world: World, gateway: str) -> None:
    sent = json.loads(world.signed[gateway]["body"])
    assert sent.keys() == MESSAGES[gateway].keys()
    assert {type(sent[name]) for name in sent} == {type(one) for one in MESSAGES[gateway].values()}


def test_a_used_key_is_named_as_the_header_that_it_is(world: World) -> None:
    with httpx.Client(base_url=world.url, headers=world.key | {"Idempotency-Key": "used"}) as asking:
        answers = [asking.post(CREATE, json=order()) for _ in range(2)]
    assert answers[1].json()["errors"][0]["where"] == "header.Idempotency-Key"


# What no well-behaved client can send. Each is answered in words, and none with a 5xx.

UUID_ = "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"
JSON = b"Content-Type: application/json\r\n"


def said(world: World, head: bytes, body: bytes = b"", *, chunked: bool = False) -> tuple[int, str]:
    """Send bytes as they are; returns the status and the kind of problem, or what else came."""
    url = httpx.URL(world.url)
    key = b"" if b"uthorization" in head else f"Authorization: {world.key['Authorization']}\r\n".encode()
    if chunked:
        parts = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        length = b"Transfer-Encoding: chunked\r\n"
    else:
        sent, length = body, b"Content-Length: %d\r\n" % len(body)
    first, _, rest = head.partition(b"\r\n")
    message = first + b" HTTP/1.1\r\nHost: jembatan\r\n" + key + length + rest + b"\r\n" + sent
    with socket.create_connection((url.host, url.port or 80), timeout=60) as line:
        with contextlib.suppress(ConnectionError):  # refused before all of it was sent
            line.sendall(message)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        text = answer.read().decode()
    if answer.headers["content-type"] != MEDIA_TYPE:
        return answer.status, text[:40]
    problem = json.loads(text)
    assert problem["status"] == answer.status
    return answer.status, problem["type"].removeprefix(TYPE)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"{PAYMENTS}?gateway=%00", (422, "invalid-request")),
        (f"{PAYMENTS}?status=paid%00", (422, "invalid-request")),
        (f"{PAYMENTS}?cursor=%00", (422, "invalid-cursor")),
        (f"{PAYMENTS}?cursor={'A' * 60_000}", (422, "invalid-cursor")),
        (f"{PAYMENTS}?cursor=AAAAAAAAAAAAAAAAAAAAA%C3%A9", (422, "invalid-cursor")),
        (f"{PAYMENTS}?cursor=AAAAAAAAAAAAAAAAAAAAAA!!!!", (422, "invalid-cursor")),
        (f"{PAYMENTS}?limit={'9' * 5_000}", (422, "invalid-request")),
        (f"{PAYMENTS}?limit=%D9%A1", (422, "invalid-request")),
        (f"{PAYMENTS}?limit=", (422, "invalid-request")),
        (f"{PAYMENTS}/%00", (404, "not-found")),
        (f"{PAYMENTS}/{UUID_}%00", (404, "not-found")),
        (f"{PAYMENTS}/{{{UUID_}}}", (404, "not-found")),
        (f"{PAYMENTS}/urn:uuid:{UUID_}", (404, "not-found")),
        (f"{PAYMENTS}/{UUID_.replace('-', '')}", (404, "not-found")),
        (f"{PAYMENTS}/{UUID_.upper()}", (404, "not-found")),
        (f"{PAYMENTS}/%ED%A0%80", (404, "not-found")),
        (f"{PROCESSES}?process=%00", (422, "invalid-request")),
        (f"{PROCESSES}?process=%ED%A0%80", (422, "invalid-request")),
        (f"{PROCESSES}?process=%C0%80", (422, "invalid-request")),
        (f"{PROCESSES}?process=%", (422, "invalid-request")),
        (f"{PROCESSES}?state=running&state=x", (422, "invalid-request")),
        (f"{PROCESSES}?flow_run_id=%00", (422, "invalid-request")),
        (f"{PROCESSES}/%00", (404, "not-found")),
        ("/reconciliations/%00.json", (404, "not-found")),
        (f"/reconciliations/{UUID_}/exceptions.csv%00", (404, "not-found")),
        ("/static/%00", (404, "not-found")),
        ("/static/..%2f..%2fapp.py", (404, "not-found")),
        ("/%00", (404, "not-found")),
        (CREATE, (405, "method-not-allowed")),
        ("/healthz%0A", (404, "not-found")),
        ("/reconciliations/%0A", (404, "not-found")),
        (f"{PAYMENTS}%0A", (404, "not-found")),
        (f"{PROCESSES}/{UUID_}%0D%0A", (404, "not-found")),
    ],
)
def test_an_odd_address_is_refused_in_words(world: World, target: str, expected: tuple[int, str]) -> None:
    assert said(world, f"GET {target}\r\n".encode()) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (422, "invalid-request")),
        (b"null", (422, "invalid-request")),
        (b"[]", (422, "invalid-request")),
        (b"{", (422, "invalid-request")),
        (b'{"reference": "\xff"}', (400, "bad-request")),
        (b'{"reference": "\\ud800"}', (422, "invalid-request")),
        (b'{"reference": "\\u0000"}', (422, "invalid-request")),
        (b'{"\\u0000\\ud800": 1}', (422, "invalid-request")),
        (b'{"amount": ' + b"9" * 5_000 + b"}", (400, "bad-request")),
        (b'{"amount": 1e400}', (422, "invalid-request")),
        (b'{"amount": NaN}', (422, "invalid-request")),
        (b'{"amount": -Infinity}', (422, "invalid-request")),
        (b'{"reference": "a", "reference": "b c"}', (422, "invalid-request")),
        (b"[" * 30_000 + b"]" * 30_000, (400, "bad-request")),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, (400, "bad-request")),
        *[
            (b'{"x": 1}'.decode().encode(code), (400, "bad-request"))
            for code in ("utf-16", "utf-16-be", "utf-32")
        ],
        (b"\xef\xbb\xbf{}", (422, "invalid-request")),
        (b"\x00", (422, "invalid-request")),
        (b" " * 65_537, (413, "too-large")),
        (b" " * 10_000_000, (413, "too-large")),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("target", [CREATE, f"{PAYMENTS}/verify"])
def test_an_odd_body_is_refused_in_words(
    world: World, target: str, body: bytes, expected: tuple[int, str], chunked: bool
) -> None:
    assert said(world, f"POST {target}\r\n".encode() + JSON, body, chunked=chunked) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", (415, "unsupported-media-type")),
        (b"Content-Type: text/plain\r\n", (415, "unsupported-media-type")),
        (b"Content-Type: \xff\xfe\r\n", (415, "unsupported-media-type")),
        (b"Content-Type: application/x-www-form-urlencoded\r\n", (415, "unsupported-media-type")),
        (b"Content-Type: multipart/form-data\r\n", (415, "unsupported-media-type")),
        (b"Content-Type: application/problem+json; charset=utf-7\r\n", (422, "invalid-request")),
        (JSON + b"Content-Encoding: gzip\r\n", (422, "invalid-request")),
        (JSON + b"Idempotency-Key:\r\n", (422, "invalid-request")),
        (JSON + b"Idempotency-Key: \xe9\r\n", (422, "invalid-request")),
        (JSON + b"Idempotency-Key: a b\r\n", (422, "invalid-request")),
        (JSON + b"Idempotency-Key: " + b"k" * 256 + b"\r\n", (422, "invalid-request")),
        (JSON + b"Prefer: wait=forever, ;=,\xff\r\n", (422, "invalid-request")),
        (JSON + b"Accept: ;;;q=x, */\xff\r\n", (422, "invalid-request")),
        (JSON + b"Accept: text/html\r\n", (422, "invalid-request")),
        (JSON + b"Expect: 200-maybe\r\n", (422, "invalid-request")),
        (JSON + b"Authorization: Bearer \xff\xe9\r\n", (401, "unauthenticated")),
        (JSON + b"Authorization: Bearer jbt_000000000000_\xe9\r\n", (401, "unauthenticated")),
        (JSON + b"Authorization:\r\n", (401, "unauthenticated")),
    ],
)
def test_an_odd_header_is_refused_in_words_or_means_nothing(
    world: World, header: bytes, expected: tuple[int, str]
) -> None:
    assert said(world, b"POST " + CREATE.encode() + b"\r\n" + header, b"{}") == expected


@pytest.mark.parametrize("header", [b"X-Odd: \x00\r\n", b"X\x00: odd\r\n", b"Authorization: Bearer \x00\r\n"])
def test_nul_in_a_header_is_refused_before_it_reaches_us(world: World, header: bytes) -> None:
    assert said(world, b"GET /healthz\r\n" + header)[0] == 400


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize(
    ("target", "status"),
    [("{}", 200), ("{}?%00", 200), ("{}/v1.0/debit/notify", 200), ("{}%00", 404), ("{}/../gopay", 404)],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_odd_messages_of_gateways_are_refused_in_their_own_form(
    world: World, gateway: str, target: str, status: int, chunked: bool
) -> None:
    head = f"POST {PAYMENTS}/callback/{target.format(gateway)}\r\nX-SIGNATURE: ".encode() + b"\xff\xe9\r\n"
    for body in (b"", b"\xff", b"{}", b"[" * 60_000, b'{"order_id": "\\ud800\\u0000"}'):
        answered = said(world, head, body, chunked=chunked)[0]
        assert answered in ((400, 401) if status == 200 else (404,))
    if status == 200:
        for length in (65_537, 10_000_000):
            assert said(world, head, b"x" * length, chunked=chunked)[0] == 413

"""Orders that cannot be worked: each is refused by the field that is wrong, in words."""

import json
from typing import Any
from uuid import uuid4

import pytest
from till import Till, an_invoice, order

_NOBODYS = "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"
_JSON = {"Content-Type": "application/json"}


@pytest.fixture
def till(shared_till: Till) -> Till:
    """One till for all: nobody looks at what others leave."""
    return shared_till


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 1500.5}, "amount"),
        ({"amount": 150000.0}, "amount"),
        ({"amount": "150000"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 10**12}, "amount"),
        ({"amount": 10**30}, "amount"),
        ({"currency": "USD"}, "currency"),
        ({"gateway": "dana"}, "gateway"),
        ({"gateway": None}, "gateway"),
        ({"reference": "a" * 33}, "reference"),
        ({"reference": "a b"}, "reference"),
        ({"reference": "a/b"}, "reference"),
        ({"reference": ""}, "reference"),
        ({"reference": ".."}, "reference"),
        ({"reference": "a\n"}, "reference"),
        ({"reference": "ａ"}, "reference"),
        ({"status": "paid"}, "status"),
        ({"paid_at": "2026-11-25T00:00:00Z"}, "paid_at"),
        ({"gateway_reference": "x"}, "gateway_reference"),
        ({"description": None}, "description"),
        ({"description": "a\u0000b"}, "description"),
        ({"learner": {"name": "Siti"}}, "learner.id"),
        ({"learner": {"id": "1", "nik": "3201"}}, "learner.nik"),
        ({"learner": {"id": "1", "phone": "call me"}}, "learner.phone"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
        ({"return_url": "ftp://platform.example/x"}, "return_url"),
        ({"return_url": "gopher://platform.example/x"}, "return_url"),
        ({"return_url": "intent://x#Intent;scheme=https;end"}, "return_url"),
        ({"return_url": "http://platform.example/x"}, "return_url"),
        ({"return_url": "data:text/html,x"}, "return_url"),
        ({"return_url": "https://user@platform.example/"}, "return_url"),
        ({"return_url": "//platform.example/x"}, "return_url"),
        ({"return_url": "https:///x"}, "return_url"),
        ({"return_url": "https://platform.example\\.elsewhere.example/"}, "return_url"),
        ({"return_url": 'https://platform.example/"><script>'}, "return_url"),
        ({"return_url": "https://platform.example/\r\nX-A: b"}, "return_url"),
        ({"return_url": "https://platform%2eexample/"}, "return_url"),
        ({"return_url": "https://%00/"}, "return_url"),
        ({"return_url": "https://../"}, "return_url"),
        ({"return_url": "https://platform.example:0/"}, "return_url"),
        ({"return_url": "ms-officecmd://x"}, "return_url"),
        ({"return_url": "feed://platform.example/x"}, "return_url"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": 10}, "expires_in"),
        ({"expires_in": 30_000_000}, "expires_in"),
    ],
)
def test_what_is_wrong_is_named(till: Till, changes: dict[str, Any], field: str) -> None:
    answer = till.post(order(**changes))
    problem = answer.json()
    assert answer.status_code == 422, problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"].startswith("urn:jembatan:problem:")
    assert problem["errors"][0]["where"] == f"body.{field}"
    assert problem["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"[" * 100_000, b'{"a":"\xff"}', b"null", b'"' + b"a" * 2_000_000 + b'"']
)
def test_a_body_that_is_none_is_refused_in_words(till: Till, body: bytes) -> None:
    answer = till.http.post(
        "/api/v1/payments/create", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 413, 422)
    assert answer.json()["type"].startswith("urn:jembatan:problem:")


@pytest.mark.parametrize(
    ("twice", "where"),
    [
        (b'"amount": 1', "body.amount"),
        (b'"reference": "another"', "body.reference"),
        (b'"learner": {"id": "a", "id": "b"}', "body.learner.id"),
        (b'"\\u0061mount": 150000', "body.amount"),
    ],
)
def test_a_member_that_stands_twice_is_refused_as_readers_differ_in_which_one_counts(
    till: Till, twice: bytes, where: str
) -> None:
    wanted = order()
    for padding in (b"", b" " * 20_000):  # in front of FastAPI, and behind it
        body = json.dumps(wanted).encode()[:-1] + b", " + twice + padding + b"}"
        answer = till.http.post("/api/v1/payments/create", content=body, headers=_JSON)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:jembatan:problem:invalid-request")
        assert answer.json()["errors"][0]["where"] == where
    assert till.book(wanted["gateway"], wanted["reference"]) is None


def test_a_member_that_stands_twice_is_named_wherever_it_is(till: Till) -> None:
    inner = json.dumps(order()).replace('"phone"', '"name": "x", "phone"').encode()
    answer = till.http.post("/api/v1/payments/create", content=inner, headers=_JSON)
    assert answer.json()["errors"][0]["where"] == "body.learner.name"
    for path in ("verify", f"{uuid4()}/refunds"):
        content = b'{"reference": "a", "reference": "b"}'
        answer = till.http.post(f"/api/v1/payments/{path}", content=content, headers=_JSON)
        assert answer.json()["errors"][0]["where"] == "body.reference"


def test_two_keys_name_no_request(till: Till) -> None:
    wanted = order()
    keys = [("Idempotency-Key", an_invoice()), ("Idempotency-Key", an_invoice())]
    answer = till.http.post("/api/v1/payments/create", json=wanted, headers=keys)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "header.Idempotency-Key"
    assert till.book(wanted["gateway"], wanted["reference"]) is None


def test_of_many_wrong_members_some_are_named_and_none_at_length(till: Till) -> None:
    names = {f"{number:x}": 1 for number in range(4_000)}
    problem = till.http.post("/api/v1/payments/verify", json={"x" * 10_000: 1} | names).json()
    assert (problem["type"], len(problem["errors"])) == ("urn:jembatan:problem:invalid-request", 100)
    assert problem["detail"].endswith("and 3,901 more")
    assert len(json.dumps(problem)) < 20_000


def test_an_app_link_may_be_the_return_address(till: Till) -> None:
    assert till.create(return_url="id.platform.app://orders/1")["status"] == "pending"


@pytest.mark.parametrize("path", ["create", "verify", f"{_NOBODYS}/cancel", f"{_NOBODYS}/refunds"])
def test_a_request_about_payments_has_64_kib_at_most(till: Till, path: str) -> None:
    content = json.dumps(order()).encode().ljust(64 * 1024 + 1)
    answer = till.http.post(f"/api/v1/payments/{path}", content=content, headers=_JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:jembatan:problem:too-large")
    answer = till.http.post(f"/api/v1/payments/{path}", content=content[:-1], headers=_JSON)
    assert answer.status_code != 413

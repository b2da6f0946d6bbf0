"""Orders that cannot be worked: each is refused by the field that is wrong, in words."""

from typing import Any

import pytest
from till import Till, order


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


def test_an_app_link_may_be_the_return_address(till: Till) -> None:
    assert till.create(return_url="id.platform.app://orders/1")["status"] == "pending"

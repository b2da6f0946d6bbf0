"""An order and a message take a way of their own; nobody can tell it from the common one by the answer."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from till import Till, an_invoice, order, wait_until

from records import client as clients
from records.db import connection, unit_of_work

CREATE = "/api/v1/payments/create"
COMMON = {"Content-Type": "application/json; charset=UTF-8; way=common"}
# What is different in each answer, or the transport's own.
OF_THE_MOMENT = ("date", "server", "content-length", "location")


def both_ways(till: Till, body: dict[str, Any], **headers: str) -> tuple[httpx.Response, httpx.Response]:
    """The same order by the way of its own, then by FastAPI's."""
    content = json.dumps(body).encode()
    own, common = {"Content-Type": "application/json"} | headers, COMMON | headers
    return (
        till.http.post(CREATE, content=content, headers=own),
        till.http.post(CREATE, content=content, headers=common),
    )


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return {name: text for name, text in answer.headers.items() if name not in OF_THE_MOMENT}


def test_an_order_and_its_repeat_by_the_other_way_get_the_same_answer(till: Till) -> None:
    own, common = both_ways(till, order())
    assert (own.status_code, common.status_code) == (201, 201)
    assert own.json() == common.json()
    assert headers_of(own) == headers_of(common)
    assert own.headers["location"] == common.headers["location"]
    assert "content-security-policy" in own.headers


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({}, {"Authorization": "Bearer jbt_nobody"}),
        ({}, {"Authorization": "Basic jbt_nobody"}),
        ({"amount": 20_000_001}, {}),
        ({"expires_in": 1}, {}),
        ({"status": "paid"}, {}),
        ({}, {"Idempotency-Key": "with a blank"}),
    ],
)
def test_what_is_refused_is_refused_alike(
    till: Till, changes: dict[str, Any], headers: dict[str, str]
) -> None:
    own, common = both_ways(till, order() | changes, **headers)
    assert own.status_code == common.status_code >= 400
    assert own.json() == common.json()
    assert headers_of(own) == headers_of(common)


def test_an_answer_that_was_lost_is_told_alike(till: Till) -> None:
    till.fail("gopay", "charge", "reset_after")
    till.fail("gopay", "status", "500", times=20)
    own, common = both_ways(till, order())
    assert (own.status_code, common.status_code) == (202, 202)
    assert own.json()["advice"] == common.json()["advice"]
    assert own.headers["retry-after"] == common.headers["retry-after"]


def test_an_order_that_comes_in_pieces_without_a_length_is_charged(till: Till) -> None:
    content = json.dumps(order()).encode()

    def pieces() -> Iterator[bytes]:
        yield content[:40]
        yield content[40:]

    answer = till.http.post(CREATE, content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text


def test_an_order_that_breaks_off_is_no_order(till: Till) -> None:
    body = order()
    content = json.dumps(body).encode()
    where = till.http.base_url
    with socket.create_connection((where.host, where.port)) as caller:
        head = f"POST {CREATE} HTTP/1.1\r\nHost: x\r\nAuthorization: {till.http.headers['authorization']}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        caller.sendall(head.encode() + content[:-1])
    till.create()  # the API has gone on meanwhile
    assert till.book("gopay", body["reference"]) is None


def test_each_order_is_counted_once_for_the_rate_of_its_client(till: Till) -> None:
    with connection() as db:
        db.execute("UPDATE clients SET rate_per_minute = 2")
    own = [till.post(order()).status_code for _ in range(3)]
    assert own == [201, 201, 429]


@pytest.mark.parametrize("with_idempotency_key", [False, True])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("UPDATE api_keys SET revoked_at = now() WHERE id = %s", 401),
        ("UPDATE api_keys SET expires_at = now() WHERE id = %s", 401),
        (
            "UPDATE clients SET revoked_at = now() FROM api_keys k"
            " WHERE k.client_id = clients.id AND k.id = %s",
            401,
        ),
        (
            "UPDATE clients SET scopes = ARRAY['payments:read'] FROM api_keys k"
            " WHERE k.client_id = clients.id AND k.id = %s",
            403,
        ),
    ],
    ids=["revoked", "expired", "client revoked", "scope taken"],
)
def test_a_key_that_was_good_a_moment_ago_opens_nothing_from_the_next_order_on(
    till: Till, change: str, status: int, with_idempotency_key: bool
) -> None:
    with unit_of_work() as session:
        _, key = clients.create(session, an_invoice(), ["payments"])
    headers = {"Authorization": f"Bearer {key.text}"}
    assert till.http.post(CREATE, json=order(), headers=headers).status_code == 201
    with connection() as db:
        assert db.execute(change.encode(), [key.id]).rowcount == 1
    if with_idempotency_key:
        headers["Idempotency-Key"] = an_invoice()
    for refused in (order(), order(amount=20_000_001)):  # nor does it tell what is wrong with an order
        assert till.http.post(CREATE, json=refused, headers=headers).status_code == status
        assert till.book("gopay", refused["reference"]) is None
        with connection() as db:
            assert not db.execute(
                "SELECT FROM payments WHERE reference = %s", [refused["reference"]]
            ).fetchall()


def test_without_its_table_a_message_is_not_taken_and_its_gateway_told_to_come_again(till: Till) -> None:
    message = till.signed(till.create())
    with connection() as db:
        db.execute("ALTER TABLE notifications RENAME TO elsewhere")
    try:
        refused = till.deliver(message)
    finally:
        with connection() as db:
            db.execute("ALTER TABLE elsewhere RENAME TO notifications")
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert "content-security-policy" in refused.headers
    assert wait_until(lambda: till.deliver(message).status_code == 200, "the table to be back")

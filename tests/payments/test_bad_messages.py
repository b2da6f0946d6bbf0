"""Messages that are no gateway's, or not about our money: nothing is paid by them."""

from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from till import Till, wait_until

from common.settings import GATEWAYS
from records.db import unit_of_work
from records.notification import Notification


@pytest.fixture
def till(shared_till: Till) -> Till:
    """One till for all: nobody looks at what others leave."""
    return shared_till


def notifications(reference: str | None = None) -> list[Notification]:
    with unit_of_work() as session:
        query = sa.select(Notification).order_by(Notification.id)
        return list(session.scalars(query if reference is None else query.filter_by(reference=reference)))


def paid_quietly(till: Till, gateway: str) -> dict[str, Any]:
    """A payment that is paid at the gateway, which has told nobody."""
    till.quiet(gateway)
    made = till.create(gateway)
    till.act(made, "pay", notify=False)
    return made


@pytest.mark.parametrize("gateway", ["ovo", "linkaja"])
@pytest.mark.parametrize("fault", ["missing", "empty", "not-base64", "over-long", "repeated", "truncated"])
def test_a_signature_header_that_is_none_is_refused(till: Till, gateway: str, fault: str) -> None:
    before = len(notifications())
    message = till.signed(paid_quietly(till, gateway))
    headers = [(name, value) for name, value in message["headers"].items() if name.lower() != "x-signature"]
    (right,) = [value for name, value in message["headers"].items() if name.lower() == "x-signature"]
    shown = {
        "missing": [],
        "empty": [""],
        "not-base64": ["%%%" + right],
        "over-long": [right * 20],
        "repeated": [right, right],
        "truncated": [right[:-8]],
    }[fault]
    answer = till.deliver(message, headers=headers + [("X-SIGNATURE", one) for one in shown])
    assert answer.status_code == 401
    assert answer.json()["responseCode"] == "4015600"
    assert len(notifications()) == before


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"[" * 10_000 + b"]" * 10_000, b'{"a": "\xff"}', b"\x00", b'"x"']
)
def test_what_cannot_be_read_is_refused_and_kept_nowhere(till: Till, gateway: str, body: bytes) -> None:
    before = len(notifications())
    message = till.signed(paid_quietly(till, gateway))
    assert till.deliver(message, body=body).status_code in (400, 401)
    assert len(notifications()) == before


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_ten_megabytes_are_refused(till: Till, gateway: str) -> None:
    message = till.signed(paid_quietly(till, gateway))
    with pytest.MonkeyPatch.context():
        try:
            answer = till.deliver(message, body=b"x" * 10_000_000)
        except httpx.WriteError:  # refused before all of it was sent
            return
    assert answer.status_code == 413


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("amount", ["150001.00", "149999.00", "150000.0", "150000", "1.5e5", "150000.000"])
def test_rightly_signed_other_money_is_put_aside_and_pays_nothing(
    till: Till, gateway: str, amount: str
) -> None:
    till.quiet(gateway)
    made = till.create(gateway)
    answer = till.deliver(till.signed(made, state="paid", amount=amount))
    assert answer.status_code == 200
    (kept,) = wait_until(
        lambda: [one for one in notifications(made["reference"]) if one.state != "received"], "the desk"
    )
    assert kept.state == "quarantined"
    assert till.read(made)["status"] == "pending"
    assert "put aside" in till.read(made)["events"][-1]["note"]


@pytest.mark.parametrize(
    ("gateway", "change"),
    [(gateway, {"currency": "USD"}) for gateway in GATEWAYS]
    # GoPay's merchant id is compared only where one is configured
    + [(gateway, {"merchant": "somebody-else"}) for gateway in ("ovo", "linkaja")]
    # only where the gateway is asked anyway may a message leave it out
    + [("ovo", {"fields": {"amount": {"value": "150000.00"}}})],
)
def test_another_currency_or_merchant_is_put_aside(till: Till, gateway: str, change: dict[str, Any]) -> None:
    till.quiet(gateway)
    made = till.create(gateway)
    assert till.deliver(till.signed(made, state="paid", **change)).status_code == 200
    wait_until(lambda: notifications(made["reference"])[0].state == "quarantined", "the quarantine")
    assert till.read(made)["status"] == "pending"


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_one_byte_changed_is_not_taken(till: Till, gateway: str) -> None:
    before = len(notifications())
    made = paid_quietly(till, gateway)
    message = till.signed(made)
    body = message["body"].encode()
    if gateway == "linkaja":  # its signature leaves the body out: there the time stamp is what is signed
        wrong = message["headers"] | {"X-TIMESTAMP": "2026-11-25T00:00:00+07:00"}
        answers = [till.deliver(message, headers=wrong)]
    else:
        place = body.index(b"150000")
        answers = [till.deliver(message, body=body[:place] + b"160000" + body[place + 6 :])]
        if gateway != "gopay":
            answers.append(till.deliver(message, body=body[:-1]))
    assert {answer.status_code for answer in answers} == {401}
    assert len(notifications()) == before
    assert till.read(made)["status"] == "pending"


@pytest.mark.parametrize("gateway", ["ovo", "linkaja"])
def test_a_body_made_to_take_long_is_refused_at_once(till: Till, gateway: str) -> None:
    """A string without an end, of nothing but escaped quotes: a careless reader tries each of them."""
    from providers import signatures

    message = till.signed(paid_quietly(till, gateway))
    body = b'{"a":"' + b'\\"' * 32_000
    assert till.deliver(message, body=body).status_code in (400, 401)
    steps = [body[:length] for length in (16_000, 64_000)]
    assert [signatures.minified(step) for step in steps] == steps

"""What is read from Midtrans' answers and notifications: a charge, its state, its refunds."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from providers import reading
from providers.base import Action, Charge, ChargeState, ChargeStatus, RefundOrder, RefundStatus
from providers.midtrans.codes import DENIED, Answer

# transaction_status -> our state, compared without case. Any other word is `unknown`, which is never final.
STATES: dict[str, ChargeState] = {
    "pending": "pending",
    "authorize": "pending",
    "settlement": "paid",
    "capture": "paid",
    "partial_refund": "partially_refunded",
    "refund": "refunded",
    "deny": "denied",
    "failure": "denied",
    "cancel": "cancelled",
    "expire": "expired",
    "partial_chargeback": "reversed",
    "chargeback": "reversed",
}
_PAID = frozenset({"paid", "partially_refunded", "refunded", "reversed"})
QR_NAMES = ("generate-qr-code-v2", "generate-qr-code")  # the first has the frame of the national QR


def charge(answer: Answer, reference: str) -> Charge:
    """A charge that Midtrans has taken, or denied at once."""
    return Charge(
        reference,
        state_of(answer.members),
        answer.word or answer.code,
        gateway_reference=reading.word(answer.members.get("transaction_id")),
        actions=_actions(answer.members.get("actions")),
        expires_at=wib(answer.members.get("expiry_time")),
        at=wib(answer.members.get("transaction_time")),
        raw=answer.raw,
    )


def status(answer: Answer, reference: str) -> ChargeStatus:
    """The state of a charge. `payment_type` is not looked at: a scanned QR makes it `qris`."""
    members, state = answer.members, state_of(answer.members)
    is_other = members.get("order_id", reference) != reference and members.get("transaction_id") != reference
    if is_other or (state == "paid" and answer.code != "200"):
        state = "unknown"  # paid is only what says so in both places, and of our own order
    started_at = wib(members.get("transaction_time")) if state in _PAID else None
    return ChargeStatus(
        reference,
        state,
        _with_fraud(answer),
        at=wib(members.get("settlement_time")) or started_at,
        amount_minor=reading.minor(members.get("gross_amount")),
        currency=reading.word(members.get("currency")),
        gateway_reference=reading.word(members.get("transaction_id")),
        refunded_minor=_refunded(members),
        refunds=_refunds(members, answer.word),
        raw=answer.raw,
    )


def state_of(members: dict[str, Any]) -> ChargeState:
    """Our state. A denial after the money had come is a reversal; money counts only when no fraud is seen."""
    state = STATES.get(str(members.get("transaction_status", "")).lower(), "unknown")
    if state == "denied" and wib(members.get("settlement_time")):
        return "reversed"
    fraud = str(members.get("fraud_status") or "accept").lower()
    if state == "paid" and fraud != "accept":
        return "denied" if fraud == "deny" else "pending"
    return state


def _with_fraud(answer: Answer) -> str:
    """The word of a state, and what is thought of it where that decides."""
    fraud = (reading.word(answer.members.get("fraud_status")) or "accept").lower()
    is_decided_by_it = STATES.get(answer.word) == "paid" and fraud != "accept"
    return f"{answer.word}, fraud {fraud}" if is_decided_by_it else answer.word


def refund(answer: Answer, order: RefundOrder) -> RefundStatus:
    """What came of asking for a refund: taken, or refused by the provider behind Midtrans (202)."""
    confirmed_at = wib(answer.members.get("bank_confirmed_at"))
    if answer.code == DENIED:
        return RefundStatus(order.refund_key, "refused", answer.code, raw=answer.raw)
    return RefundStatus(
        order.refund_key,
        "confirmed" if confirmed_at else "accepted",
        answer.word or answer.code,
        amount_minor=order.amount_minor,
        gateway_reference=_id(answer.members.get("refund_chargeback_id")),
        at=confirmed_at,
        raw=answer.raw,
    )


def refund_in(answer: Answer, order: RefundOrder) -> RefundStatus:
    """One refund, found in the status of its charge by our key. Only `bank_confirmed_at` says that the
    money has moved."""
    listed = _refunds(answer.members, answer.word) or ()
    ours = next((one for one in listed if one.refund_key == order.refund_key), None)
    if ours is None:
        return RefundStatus(order.refund_key, "not_found", answer.word, raw=answer.raw)
    return replace(ours, raw=answer.raw)


def _refunds(members: dict[str, Any], word: str) -> tuple[RefundStatus, ...] | None:
    """Every refund of a charge, by its key or else by Midtrans' number; None where none is listed.

    A key may come twice, without and with the bank's word: then the bank's counts.
    """
    listed = members.get("refunds")
    if not isinstance(listed, list):
        return None
    found: dict[str, RefundStatus] = {}
    for item in listed:
        number = _id(reading.member(item, "refund_chargeback_id"))
        key = reading.word(reading.member(item, "refund_key")) or number
        confirmed_at = wib(reading.member(item, "bank_confirmed_at"))
        if key is None or (key in found and confirmed_at is None):
            continue
        found[key] = RefundStatus(
            key,
            "confirmed" if confirmed_at else "accepted",
            word,
            amount_minor=reading.minor(reading.member(item, "refund_amount")),
            gateway_reference=number,
            at=confirmed_at,
        )
    return tuple(found.values())


def wib(value: Any) -> datetime | None:
    """A time of Midtrans, `2026-11-25 09:00:00`, which is always WIB."""
    return reading.moment(value) if isinstance(value, str) else None


def _actions(listed: Any) -> tuple[Action, ...]:
    """What the payer does next, chosen by name and never by place."""
    named = {
        reading.member(one, "name"): reading.link(reading.member(one, "url"))
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(reading.member(one, "name"), str)
    }
    app, picture = named.get("deeplink-redirect"), next(filter(None, map(named.get, QR_NAMES)), None)
    found = (Action("deeplink", app) if app else None, Action("qr", picture) if picture else None)
    return tuple(action for action in found if action)


def _refunded(members: dict[str, Any]) -> int | None:
    """Running total that went back, where Midtrans tells."""
    total = reading.minor(members.get("refund_amount"))
    if total is None and isinstance(members.get("refunds"), list):
        total = sum(reading.minor(reading.member(one, "refund_amount")) or 0 for one in members["refunds"])
    return total


def _id(value: Any) -> str | None:
    return reading.word(str(value)) if isinstance(value, (int, str)) else None

"""What is read from SNAP's answers and notifications: a charge, its state, its refunds. Read tolerantly."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from providers import reading
from providers.base import (
    Action,
    Charge,
    ChargeOrder,
    ChargeState,
    ChargeStatus,
    RefundOrder,
    RefundState,
    RefundStatus,
    in_words,
)
from providers.snap import codes
from providers.snap.codes import Answer

# How long a payer has for a push of OVO, and when the order dies. Source: Midtrans docs, OVO (Core API).
PUSH_SECONDS = 55
PUSH_DIES_AFTER = timedelta(seconds=65)

# refundStatus of a refundHistory -> our state; an unknown word is not final. Without one it went back.
REFUND_STATES: dict[str | None, RefundState] = {"00": "confirmed", None: "confirmed", "06": "refused"}


def charge(answer: Answer, order: ChargeOrder, *, is_push: bool) -> Charge:
    """A charge that the gateway has taken. Where it gives nothing to open, a push asks the payer's phone."""
    actions = []
    if page := reading.link(answer.members.get("webRedirectUrl")):
        actions.append(Action("redirect", page))
    if app := reading.link(answer.members.get("appRedirectUrl")):
        actions.append(Action("deeplink", app))
    is_pushed = is_push and not actions
    if is_pushed:
        actions.append(Action("push", expires_in=PUSH_SECONDS))
    return Charge(
        order.reference,
        "pending",
        in_words(answer.code, "pending"),
        gateway_reference=reading.word(answer.members.get("referenceNo")),
        actions=tuple(actions),
        expires_at=order.created_at + PUSH_DIES_AFTER if is_pushed else None,
        raw=answer.raw,
    )


def status(answer: Answer, reference: str) -> ChargeStatus:
    """The state of a charge (service 55)."""
    members = answer.members
    word = reading.word(members.get("latestTransactionStatus")) or ""
    money = members.get("transAmount") or members.get("amount")
    amount = reading.minor(reading.member(money, "value"))
    state, refunded = state_of(word, members, amount)
    is_other = members.get("originalPartnerReferenceNo", reference) != reference
    if is_other or (state not in ("pending", "unknown") and not _is_success(members)):
        state = "unknown"  # an answer in progress or of another order decides nothing
    return ChargeStatus(
        reference,
        state,
        word,
        at=paid_at(members),
        amount_minor=amount,
        currency=reading.word(reading.member(money, "currency")),
        gateway_reference=reading.word(members.get("originalReferenceNo")),
        refunded_minor=refunded,
        refunds=_refunds(members, reference),
        raw=answer.raw,
    )


def _is_success(members: Any) -> bool:
    """Whether the code of the answer is none against it: `202…` is in progress. Slips of the code's form are
    printed in public samples, and say nothing."""
    code = reading.word(members.get("responseCode")) or ""
    return not (len(code) >= 7 and code.isdigit()) or code.startswith("200")


def state_of(word: str, members: Any, amount_minor: int | None) -> tuple[ChargeState, int | None]:
    """Our state, and what went back so far where that is told: a paid charge may be refunded in part."""
    state = codes.STATES.get(word, "unknown")
    history = refund_history(members)
    if history is None:
        return state, amount_minor if state == "refunded" else None
    back = sum(minor for minor, is_back in map(_gone_back, history) if is_back)
    if state in ("paid", "refunded") and back and amount_minor:
        state = "refunded" if back >= amount_minor else "partially_refunded"
    elif state == "refunded" and amount_minor:
        back = amount_minor
    return state, back


def paid_at(members: Any) -> datetime | None:
    """When it was paid, wherever the aggregator writes it."""
    details = reading.member(members, "additionalInfo")
    times = reading.member(details, "timeDetail", "paidTimes")  # DANA's list
    found = (
        reading.member(members, "paidTime"),
        reading.member(details, "paidTime"),
        times[0] if isinstance(times, list) and times else None,
    )
    return next((at for at in map(reading.moment, found) if at), None)


def refund_history(members: Any) -> list[Any] | None:
    """The refunds that the gateway tells of; None where it has no such member."""
    for place in (members, reading.member(members, "additionalInfo")):
        history = reading.member(place, "refundHistory")
        if isinstance(history, list):
            return history
    return None


def refund(answer: Answer, order: RefundOrder) -> RefundStatus:
    """A refund that the gateway has made: SNAP answers when the money has moved."""
    return RefundStatus(
        order.refund_key,
        "confirmed",
        answer.code,
        amount_minor=reading.minor(reading.member(answer.members, "refundAmount", "value")),
        gateway_reference=reading.word(answer.members.get("refundNo")),
        at=reading.moment(answer.members.get("refundTime")),
        raw=answer.raw,
    )


def refund_in(answer: Answer, order: RefundOrder) -> RefundStatus:
    """One refund, found in the status of its charge by our key."""
    for one in _refunds(answer.members, order.reference) or ():
        if one.refund_key == order.refund_key:
            return replace(one, raw=answer.raw)
    said = reading.word(answer.members.get("latestTransactionStatus")) or ""
    is_whole = order.amount_minor == order.payment_amount_minor
    if codes.STATES.get(said) == "refunded" and is_whole and refund_history(answer.members) is None:
        return RefundStatus(order.refund_key, "confirmed", said, order.amount_minor, raw=answer.raw)
    return RefundStatus(order.refund_key, "not_found", said, raw=answer.raw)


def _refunds(members: Any, reference: str) -> tuple[RefundStatus, ...] | None:
    """Every refund of a charge, by the merchant's number of it or else by the gateway's; None where it lists
    none. Some write the charge's own reference where others write the refund's: that names no refund."""
    history = refund_history(members)
    if history is None:
        return None
    found: dict[str, RefundStatus] = {}
    for item in history:
        number = reading.word(reading.member(item, "refundNo"))
        merchants = reading.word(reading.member(item, "partnerRefundNo")) or reading.word(
            reading.member(item, "partnerReferenceNo")
        )
        key = merchants if merchants not in (None, reference) else number
        if key is None or key in found:
            continue
        word = reading.member(item, "refundStatus")
        found[key] = RefundStatus(
            key,
            REFUND_STATES.get(word, "accepted") if word is None or isinstance(word, str) else "accepted",
            str(word or ""),
            amount_minor=_amount(item),
            gateway_reference=number,
            at=reading.moment(reading.member(item, "refundDate")),
        )
    return tuple(found.values())


def _gone_back(item: Any) -> tuple[int, bool]:
    word = reading.member(item, "refundStatus")
    return _amount(item) or 0, word in (None, "00")


def _amount(item: Any) -> int | None:
    """A refund's amount, as `{value, currency}` or as a plain text."""
    amount = reading.member(item, "refundAmount")
    return reading.minor(reading.member(amount, "value") if isinstance(amount, dict) else amount)

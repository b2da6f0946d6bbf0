"""Create a payment: our row first, then the gateway's charge; an answer that never came is `unknown`.

Whatever dies in between, the same request again finds the row, asks the gateway, and never charges twice:
the reference and the key of the call stay the same.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from checkout import ask, gateways, timetable
from checkout.gateways import gateway, notify_url
from common import clock, money
from common.errors import Ambiguous, AuthFailed, ProviderError, Rejected
from providers.base import Capabilities, Charge, ChargeOrder, Gateway, Learner
from records import charge, payment
from records.charge import Wanted
from records.db import at_once, unit_of_work
from records.payment import Payment, PaymentEvent

log = logging.getLogger("jembatan.checkout")


class Refusal(Exception):
    """A request that cannot be worked. slug: its stable kind; field: which member; detail: what to do."""

    def __init__(self, slug: str, field: str | None, detail: str) -> None:
        self.slug = slug
        self.field = field
        self.detail = detail
        super().__init__(detail)


class NotOpened(Exception):
    """It is no new payment, or the key opens the door no more; nothing was done."""


@dataclass(frozen=True)
class Terms:
    """What a request for a payment says of the charge itself."""

    gateway: str
    amount_minor: int
    expires_in: int | None
    has_phone: bool


def check(terms: Terms) -> int:
    """Hold a request against what its gateway can do; returns the seconds it lives. Raises Refusal."""
    can = gateway(terms.gateway).capabilities
    if can.needs_linking:
        raise Refusal(
            "linking-required",
            "gateway",
            f"{terms.gateway} needs a linked account in its present profile, and linking is not offered yet.",
        )
    least, most = can.amount_minor
    if not least <= terms.amount_minor <= most:
        limits = f"{money.rupiah(least)} to {money.rupiah(most)}"
        raise Refusal("amount-outside-limits", "amount", f"{terms.gateway} takes {limits} at once.")
    if can.needs_phone and not terms.has_phone:
        raise Refusal(
            "phone-required", "learner.phone", f"{terms.gateway} sends its request to the learner's phone."
        )
    seconds = can.default_expiry_seconds if terms.expires_in is None else terms.expires_in
    shortest, longest = can.expiry_seconds
    if not shortest <= seconds <= longest:
        raise Refusal(
            "expiry-outside-limits",
            "expires_in",
            f"{terms.gateway} lets a payment live from {shortest} to {longest} seconds.",
        )
    return seconds


class Made(NamedTuple):
    """A payment as it is now. history: its events, where they came with it; None where nobody read them."""

    payment: Payment
    history: list[PaymentEvent] | None = None


def create(wanted: Wanted, still_open: dict[str, Any] | None = None) -> Made:
    """The payment that a client asks for: charged now, or as it is where the request was made before.

    still_open: a new payment or none (NotOpened), and only where the key that was shown opens the door still.
    Raises Refusal (`reference-reused`, `idempotency-key-reused`, `reference-taken`, `still-running`,
    `gateway-busy`).
    """
    opened = gateway(wanted.gateway)
    with _share(wanted.gateway):
        outcome, found = _begun(wanted, still_open)
        if outcome == "known":
            return Made(found)
        charged = None
        try:
            charged = _charge(opened, found, wanted.learner, was_tried=outcome == "again")
            return charged
        finally:
            if charged is None or charged.payment.busy_by is not None:
                with unit_of_work() as session:
                    charge.release(session, found.id)


def _begun(wanted: Wanted, still_open: dict[str, Any] | None) -> tuple[charge.Outcome, Payment]:
    """The payment and what may be done with it. Nearly always it is a new one, which takes one statement."""
    first_after = ask.first_after(wanted.gateway)
    if wanted.idempotency_key is None:
        with at_once() as db:
            made = charge.open_new(db, wanted, first_question_after=first_after, still_open=still_open)
        if made is not None:
            return "new", made
    if still_open is not None:
        raise NotOpened
    with unit_of_work() as session:
        outcome, found = charge.begin(
            session,
            wanted,
            left_alone_for=ask.left_alone_for(wanted.gateway),
            first_question_after=first_after,
        )
        if outcome not in ("new", "again", "known") or found is None:
            raise _refused(outcome)
        return outcome, found


def order_of(found: Payment, learner: dict[str, Any]) -> ChargeOrder:
    """What the gateway is asked for; the same payment always gives the same order."""
    assert found.external_id is not None
    assert found.expires_at is not None
    return ChargeOrder(
        reference=found.reference,
        external_id=found.external_id,
        amount_minor=found.amount_minor,
        currency=found.currency,
        description=found.description or found.reference,
        created_at=found.created_at,
        expires_at=found.expires_at,
        return_url=found.return_url or "",
        notify_url=notify_url(found.gateway),
        learner=Learner(**learner),
        program_code=found.program_code,
    )


def _charge(opened: Gateway, found: Payment, learner: dict[str, Any], *, was_tried: bool) -> Made:
    """Make the charge; where an earlier try may have made it, ask first. Where the gateway is known to have
    it, the same call again brings back its answer with the learner's link, at gateways that can do that."""
    order = order_of(found, learner)
    if was_tried:
        is_there = True
        if found.status == "unknown":
            asked = ask.ask(found.id, cause="status", source="create")
            if asked.said is None or asked.payment.status not in ("unknown", "pending"):
                return Made(asked.payment)
            found, is_there = asked.payment, asked.result != "not_found"
        if is_there and not opened.capabilities.repeats_charge:
            return Made(found)  # who does not promise to know the call again could charge again
    try:
        made = opened.create_charge(order)
    except (Rejected, AuthFailed) as error:
        if was_tried:  # a no to the second call says nothing of the first: the sweep ends it
            return Made(_still_unknown(found.id, error))
        return Made(_denied(found.id, error))
    except ProviderError as error:
        found = _unknown(found.id, error)
        if was_tried or found.status != "pending":
            return Made(found)
        return _charge(opened, found, learner, was_tried=True)  # a notification was faster than the answer
    return _record(found, made, opened.capabilities)


class _Answer(TypedDict):
    """What the gateway's answer to a charge brings to our row."""

    gateway_reference: str | None
    actions: list[dict[str, Any]]
    expires_at: datetime | None
    next_status_at: datetime


def _record(found: Payment, made: Charge, can: Capabilities) -> Made:
    """Keep what the gateway answered: its reference, and what the learner does next."""
    expires_at = made.expires_at or found.expires_at
    first = timedelta(seconds=can.first_status_after)
    # Only the status or a notification says that money has come: a charge alone is pending at most.
    state = made.state if made.state in ("denied", "expired", "cancelled") else "pending"
    note = f"The gateway has the charge and says {made.word}."
    answer = _Answer(
        gateway_reference=made.gateway_reference,
        actions=[
            {name: value for name, value in vars(action).items() if value is not None}
            for action in made.actions
        ],
        expires_at=expires_at,
        next_status_at=timetable.next_question(clock.now(), found.created_at, expires_at, first),
    )
    if found.status == "created" and state == "pending":
        with at_once() as db:
            history = payment.charged(db, found, **answer, note=note, evidence=made.raw)
        if history:
            return Made(found, history)
    with unit_of_work() as session:
        now = charge.answered(session, found.id, **answer)
        payment.apply(
            session,
            now,
            state,
            cause="charge",
            source="create",
            note=note,
            evidence=made.raw,
            reason=f"the gateway says {made.word}" if state == "denied" else None,
        )
        return Made(now)


def _still_unknown(payment_id: UUID, error: ProviderError) -> Payment:
    with unit_of_work() as session:
        note = f"The gateway refused the repeated call ({error}); what became of the first one is asked on."
        payment.remark(session, payment_id, note, cause="charge", source="create")
        return session.get_one(Payment, payment_id)


def _denied(payment_id: UUID, error: ProviderError) -> Payment:
    if isinstance(error, AuthFailed):
        log.error("a charge was refused for our key, clock or contract: %s", error)
    with unit_of_work() as session:
        payment.apply(
            session,
            payment.locked(session, payment_id),
            "denied",
            cause="charge",
            source="create",
            note=f"The gateway refused the charge: {error}. Nothing was taken.",
            reason=str(error),
        )
        return session.get_one(Payment, payment_id)


def _unknown(payment_id: UUID, error: ProviderError) -> Payment:
    """No answer: it may have happened. Where the gateway has no such charge although it knows the call's
    number, the number is spent and the next try needs another."""
    is_spent = isinstance(error, Ambiguous) and (error.code or "").startswith("409")
    if is_spent:
        asked = ask.ask(payment_id, cause="status", source="create")
        if asked.may_ask_at is not None and asked.may_ask_at <= clock.now() + charge.ONE_QUESTION_A:
            time.sleep(charge.ONE_QUESTION_A.total_seconds())  # it was asked right before the call
            asked = ask.ask(payment_id, cause="status", source="create")
        is_spent = asked.result == "not_found"
    with unit_of_work() as session:
        moved = payment.apply(
            session,
            payment.locked(session, payment_id),
            "unknown",
            cause="charge",
            source="create",
            note=f"No answer to the charge ({error}). Whether the gateway has it is asked from now on.",
        )
        found = session.get_one(Payment, payment_id, with_for_update=True, populate_existing=True)
        if not moved and found.status == "unknown":
            note = f"No answer to another try ({error})."
            payment.remark(session, payment_id, note, cause="charge", source="create")
        if is_spent:
            found.external_id = session.scalar(charge.NEXT_EXTERNAL_ID)
        return found


def _refused(outcome: charge.Outcome) -> Refusal:
    match outcome:
        case "running":
            return Refusal(
                "still-running",
                None,
                "The first request for this payment is still under way. Repeat this one.",
            )
        case "key_reused":
            return Refusal(
                "idempotency-key-reused",
                "Idempotency-Key",
                "This key was used for another request. Take a new key for a new payment.",
            )
        case "taken":
            return Refusal("reference-taken", "reference", "This reference is in use. Take another one.")
        case _:
            return Refusal(
                "reference-reused",
                "reference",
                "This reference was used with another body. Take a new reference for a new payment.",
            )


@contextmanager
def _share(name: str) -> Iterator[None]:
    with gateways.share(name, wait=2) as is_free:
        if not is_free:
            raise Refusal("gateway-busy", None, f"{name} answers slowly at the moment. Repeat the request.")
        yield

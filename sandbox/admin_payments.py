"""What a gateway's dashboard has: live charges, what happens to them, and their notifications."""

import secrets
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import uuid4

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from sandbox.gopay_notices import dashboard_test
from sandbox.live import REFUNDABLE, Charge, LiveBooks, LiveRefund, NotPossible
from sandbox.money import printed
from sandbox.notices import Gateway, Habit, Notice, Notifier, NoToken, Odd
from sandbox.snap_services import PROFILES
from sandbox.wib import iso, now

DashboardAct = Literal["pay", "charge_again", "deny", "cancel", "expire", "reverse", "refund", "confirm"]
# What Midtrans adds when the QR was scanned with another app.
QRIS = {"transaction_type": "off-us", "issuer": "ovo", "acquirer": "gopay"}


class Details(BaseModel, extra="forbid"):
    """How an act happens. at: when it did, perhaps on an earlier day.

    amount: rupiah; of a refund in part, or of a payment that is not what the merchant asked for.
    """

    at: AwareDatetime | None = None
    notify: bool = True
    payment_type: Literal["gopay", "qris"] | None = None
    amount: Decimal | None = Field(default=None, gt=0, max_digits=15, decimal_places=2)

    @property
    def sen(self) -> int | None:
        """The amount in sen."""
        return None if self.amount is None else int(self.amount * 100)


class Refunding(BaseModel, extra="forbid"):
    """How long GoPay's bank takes to confirm a refund, in seconds; null: until the act `confirm`."""

    gateway: Literal["gopay"]
    confirm_after: float | None = Field(ge=0, le=3600)


def payment_router(live: LiveBooks, notifier: Notifier, callback_base: str) -> APIRouter:
    """Everything under `/_sandbox/payments`, `/_sandbox/refunds` and `/_sandbox/notifications`."""
    routes = APIRouter()

    def known(gateway: str, reference: str) -> Charge:
        if charges := [one for one in live.made(gateway, reference) if not one.is_second]:
            return charges[-1]
        raise HTTPException(404, f"No live charge of {gateway} has the reference {reference}.")

    def shown(charge: Charge, request: Request) -> dict[str, Any]:
        return view(charge, live.made(charge.gateway, charge.reference), str(request.base_url).rstrip("/"))

    @routes.get("/_sandbox/payments")
    async def payments(request: Request, gateway: Gateway | None = None) -> list[dict[str, Any]]:
        """Every live charge, in the order in which they were made."""
        return [shown(charge, request) for charge in live.all(gateway)]

    @routes.get("/_sandbox/payments/{gateway}/{reference}")
    async def payment(gateway: Gateway, reference: str, request: Request) -> dict[str, Any]:
        """The latest charge under a reference."""
        return shown(known(gateway, reference), request)

    @routes.post("/_sandbox/payments/{gateway}/{reference}/notification")
    async def notification(
        gateway: Gateway, reference: str, odd: Odd | None = None, send: bool = Query(default=True)
    ) -> dict[str, Any]:
        """Notify the present state now, or only return the message signed. Where the charge has several
        addresses, `others` has the messages to all but the first."""
        charge = known(gateway, reference)
        notices = notifier.voice(charge).notices(charge, odd or Odd())
        if not notices:
            raise HTTPException(409, f"{charge.profile} does not notify.")
        first, *others = [await _done(notifier, notice, send=send) for notice in notices]
        return first | ({"others": others} if others else {})

    @routes.post("/_sandbox/payments/{gateway}/{reference}/{act}")
    async def act(
        gateway: Gateway, reference: str, act: DashboardAct, request: Request, details: Details | None = None
    ) -> dict[str, Any]:
        """Let the payer, the gateway or somebody at its dashboard do something."""
        charge, how = known(gateway, reference), details or Details()
        try:
            _do(live, charge, act, how)
        except NotPossible as problem:
            raise HTTPException(409, str(problem)) from None
        return shown(charge, request)

    @routes.post("/_sandbox/refunds")
    async def refunding(wanted: Refunding) -> Refunding:
        """How refunds are confirmed from now on."""
        live.confirm_seconds[wanted.gateway] = wanted.confirm_after
        return wanted

    @routes.post("/_sandbox/notifications")
    async def behave(habit: Habit) -> Habit:
        """How a gateway notifies from now on."""
        notifier.habits[habit.gateway] = habit
        return habit

    @routes.get("/_sandbox/notifications")
    async def sent(gateway: Gateway | None = None, reference: str | None = None) -> list[dict[str, Any]]:
        """What was sent, and what was answered; oldest first."""
        wanted = [
            one
            for one in notifier.log
            if gateway in (None, one.gateway) and reference in (None, one.reference)
        ]
        return [asdict(one) for one in wanted]

    @routes.delete("/_sandbox/notifications", status_code=204)
    async def forget() -> None:
        """Empty the log, and let every gateway notify as it does by default."""
        notifier.log.clear()
        notifier.habits.clear()

    @routes.post("/_sandbox/notifications/test")
    async def test_message(send: bool = Query(default=True)) -> dict[str, Any]:
        """The test message of the Midtrans dashboard."""
        return await _done(notifier, dashboard_test(f"{callback_base}/gopay"), send=send)

    return routes


def view(charge: Charge, made: list[Charge], home: str) -> dict[str, Any]:
    """A charge for people and tests. charges, taken: over every charge under the reference."""
    return {
        "gateway": charge.gateway,
        "profile": charge.profile,
        "reference": charge.reference,
        "gateway_reference": charge.gateway_reference,
        "external_id": charge.external_id,
        "amount": printed(charge.amount),
        "currency": "IDR",
        "state": charge.state,
        "payment_type": charge.payment_type,
        "created_at": iso(charge.created_at),
        "expires_at": iso(charge.expires_at),
        "settled_at": _iso(charge.settled_at),
        "charges": len(made),
        "taken": printed(sum(one.taken for one in made)),
        "refunds": [
            {
                "key": refund.key,
                "gateway_reference": refund.gateway_reference,
                "amount": printed(refund.amount),
                "reason": refund.reason,
                "by_merchant": refund.by_merchant,
                "created_at": iso(refund.created_at),
                "confirmed_at": _iso(refund.confirmed_at),
            }
            for refund in charge.refunds
        ],
        "early_questions": charge.early_questions,
        "notify_urls": charge.notify_urls,
        "pay_url": f"{home}/{charge.gateway}/pay/{charge.id}",
    }


def _do(live: LiveBooks, charge: Charge, act: DashboardAct, how: Details) -> None:
    if how.at and how.at > now() + timedelta(seconds=1):
        raise HTTPException(422, "`at` is in the future.")
    if how.payment_type and (charge.gateway != "gopay" or act != "pay"):
        raise HTTPException(422, "`payment_type` is said of a GoPay charge when it is paid.")
    if how.amount and act not in ("pay", "charge_again", "refund"):
        raise HTTPException(422, "`amount` is said of what is paid or refunded.")
    if act == "refund":
        _refund(live, charge, how)
    elif act == "charge_again":
        _charge_again(live, charge, how)
    elif act == "confirm":
        for refund in charge.refunds:
            live.confirm(charge, refund, at=how.at)
    else:
        if how.payment_type == "qris" and charge.state == "pending":
            charge.payment_type, charge.more = "qris", dict(QRIS)
        if how.sen and charge.state == "pending":
            charge.asked_amount, charge.amount = charge.amount, how.sen
        live.move(charge, act, at=how.at, notify=how.notify)


def _charge_again(live: LiveBooks, charge: Charge, how: Details) -> None:
    """The payer pays once more: a second charge under the same reference, for which nobody asked."""
    if not charge.settled_at:
        raise NotPossible(f"no second charge: the first is {charge.state}")
    at: datetime = how.at or now()
    is_snap = charge.profile in PROFILES
    second = replace(
        charge,
        id=secrets.token_urlsafe(12),
        gateway_reference=PROFILES[charge.profile].new_reference() if is_snap else str(uuid4()),
        amount=how.sen or charge.amount,
        state="pending",
        created_at=at,
        settled_at=None,
        closed_at=None,
        external_id="",
        refunds=[],
        from_books=False,
        asked_amount=None,
        is_second=True,
    )
    live.open(second, notify=False)
    live.move(second, "pay", at=at, notify=how.notify)


def _refund(live: LiveBooks, charge: Charge, how: Details) -> None:
    """From the dashboard: confirmed at once, under a key of the gateway's own."""
    if charge.state not in REFUNDABLE:
        raise NotPossible(f"no refund: the charge is {charge.state}")
    amount = how.sen or charge.amount - charge.refunded
    at: datetime = how.at or now()
    number = 100_000 + secrets.randbelow(900_000)
    key = f"DASHBOARD-{charge.id[:8]}-{len(charge.refunds) + 1}"
    theirs = PROFILES[charge.profile].new_reference() if charge.profile in PROFILES else str(number)
    refund = LiveRefund(key, theirs, number, amount, "Refunded in the dashboard", at, at, by_merchant=False)
    live.refund(charge, refund, notify=how.notify)


async def _done(notifier: Notifier, notice: Notice, *, send: bool) -> dict[str, Any]:
    """Send a notice and tell what came of it, or return it as it would be sent."""
    if send:
        return asdict(await notifier.attempt(notice))
    try:
        headers = await notifier.signed(notice)
    except NoToken as problem:
        raise HTTPException(502, str(problem)) from None
    return {
        "method": "POST",
        "url": notice.url,
        "path": notice.path,
        "headers": headers,
        "body": notice.body.decode(),
    }


def _iso(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None

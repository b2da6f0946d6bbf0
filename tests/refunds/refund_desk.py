"""What the tests of refunds work with: a till, and the worker's part without Prefect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import sqlalchemy as sa
from till import Till, wait_until

from checkout import giving_back
from checkout.giving_back import Step
from common import clock
from records import process, refund
from records.db import unit_of_work
from records.payment import Payment
from records.process import ProcessRun
from records.refund import Refund

AMOUNT = 150_000


def _due_runs() -> list[UUID]:
    """What is due; the API's relay may look at it at the same time, so nothing is skipped here."""
    runs = sa.select(ProcessRun.id).where(
        ProcessRun.process == refund.PROCESS,
        sa.or_(
            ProcessRun.state == "queued",
            sa.and_(ProcessRun.state == "waiting", ProcessRun.next_attempt_at <= clock.now()),
        ),
    )
    with unit_of_work() as session:
        return list(session.scalars(runs))


def due() -> list[UUID]:
    """Refunds whose processes are due now."""
    of_runs = sa.select(Refund.id).where(Refund.process_run_id.in_(_due_runs()))
    with unit_of_work() as session:
        return list(session.scalars(of_runs))


def worked() -> list[Step]:
    """Work everything that is due, once, as a flow run does."""
    runs = _due_runs()
    with unit_of_work() as session:
        started = [run.id for run in process.start_batch(session, runs, None)]
        ids = list(session.scalars(sa.select(Refund.id).where(Refund.process_run_id.in_(started))))
    return giving_back.step_all(ids)


def rows(payment_id: str) -> list[Refund]:
    with unit_of_work() as session:
        return refund.of_payment(session, UUID(payment_id))


def row(refund_id: str) -> Refund:
    with unit_of_work() as session:
        return session.get_one(Refund, UUID(refund_id))


def run_of(found: Refund) -> ProcessRun:
    assert found.process_run_id is not None
    with unit_of_work() as session:
        return session.get_one(ProcessRun, found.process_run_id)


def later(hours: float) -> None:
    """The tests' own clock: time goes on for every refund, as all that is noted of it moves back."""
    gone = timedelta(hours=hours)
    with unit_of_work() as session:
        session.execute(
            sa.update(Refund).values(created_at=Refund.created_at - gone, sent_at=Refund.sent_at - gone)
        )
        session.execute(
            sa.update(ProcessRun).values(
                created_at=ProcessRun.created_at - gone, next_attempt_at=ProcessRun.next_attempt_at - gone
            )
        )
        session.execute(
            sa.text(
                "UPDATE approvals SET requested_at = requested_at - :gone, expires_at = expires_at - :gone "
                "WHERE state = 'open'"
            ),
            {"gone": gone},
        )


def paid_before(payment_id: str, days: int) -> None:
    with unit_of_work() as session:
        found = session.get_one(Payment, UUID(payment_id))
        assert found.paid_at is not None
        found.paid_at -= timedelta(days=days)


@dataclass
class Desk:
    """A till, and who gives back."""

    till: Till

    def paid(self, gateway: str = "gopay", amount: int = AMOUNT) -> dict[str, Any]:
        """A payment that is paid."""
        made = self.till.create(gateway, amount=amount)
        self.till.act(made, "pay")
        if gateway == "ovo":  # DOKU wants no question for a minute after a charge
            with unit_of_work() as session:
                session.get_one(Payment, UUID(made["payment_id"])).created_at -= timedelta(seconds=90)
        return self.till.becomes(made, "paid")

    def ask(self, made: dict[str, Any], key: str = "cancelled", **more: Any) -> httpx.Response:
        """Ask for a refund, whatever the answer."""
        body = {"refund_key": key, "reason": "Course was cancelled"} | more
        return self.till.http.post(f"/api/v1/payments/{made['payment_id']}/refunds", json=body)

    def asked(self, made: dict[str, Any], key: str = "cancelled", **more: Any) -> dict[str, Any]:
        """Ask for a refund that is taken on."""
        answer = self.ask(made, key, **more)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def listed(self, made: dict[str, Any]) -> dict[str, Any]:
        """The refunds of a payment as the API shows them."""
        answer = self.till.http.get(f"/api/v1/payments/{made['payment_id']}/refunds")
        return dict(answer.raise_for_status().json())

    def process(self, asked: dict[str, Any]) -> dict[str, Any]:
        return dict(self.till.http.get(f"/api/v1/processes/{asked['process_id']}").raise_for_status().json())

    def ends(self, made: dict[str, Any], *statuses: str, seconds: float = 90) -> list[dict[str, Any]]:
        """Wait until the refunds of a payment have these statuses, in any order; works what comes due."""

        def look() -> Sequence[dict[str, Any]] | None:
            worked()
            found = self.listed(made)["items"]
            return found if sorted(one["status"] for one in found) == sorted(statuses) else None

        return list(wait_until(look, f"refunds {statuses} of {made['reference']}", seconds))

    def given_back(self, made: dict[str, Any]) -> list[str]:
        """What the gateway's own books have given back, refund by refund."""
        book = self.till.book(made["gateway"], made["reference"])
        assert book is not None
        return [one["amount"] for one in book["refunds"]]

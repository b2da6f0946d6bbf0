"""One learner's whole way through a program, by the doors that the business uses."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from common import clock
from ministry import completions
from ministry.completions import Wish
from records import completion, enrolment, process, program, program_request
from records.completion import Completion, CompletionCall
from records.completion_rows import Row
from records.db import unit_of_work
from records.enrolment import Statement
from records.payment import Payment
from records.refund import Refund

LPK = "LPK-12345-2023"
NIK = "3201010101900001"
NAME = "Siti Rahma Timeline"


def registered(code: str, number: str) -> None:
    """A program that the register has."""
    content = {
        "program_code": code,
        "program_name": "Welding, level II",
        "lpk_registration_number": LPK,
        "lpk_name": "LPK Teknologi Indonesia",
        "duration_hours": 240,
        "start_date": "2024-01-15",
        "instructor_qualifications": [],
        "curriculum": [{"module_name": "Arc"}],
    }
    with unit_of_work() as session:
        asked = program_request.ask_for(session, program_request.Wanted(content), by="operator:test")
        program.apply(
            session,
            [
                program.Move(
                    asked.version.id, "registered", "test", "test",
                    siplatih_program_id=number, registered_at=clock.now() - timedelta(days=90),
                )
            ],
        )  # fmt: skip
        process.finish(session, asked.run.id, "succeeded")


def paid(
    reference: str, learner: str | None, code: str | None, *, client: UUID | None = None, **more: Any
) -> UUID:
    """A payment of the ledger, paid a month ago."""
    at = clock.now() - timedelta(days=30)
    columns = {"status": "paid", "paid_at": at} | more
    with unit_of_work() as session:
        made = Payment(
            reference=reference, gateway="gopay", amount_minor=15_000_000, currency="IDR", created_at=at,
            learner_id=learner, program_code=code, client_id=client, **columns,
        )  # fmt: skip
        session.add(made)
        session.flush()
        return made.id


def given_back(payment_id: UUID, rupiah: int) -> None:
    """A refund that the wallet has confirmed."""
    with unit_of_work() as session:
        session.add(
            Refund(
                payment_id=payment_id, reference=f"B-{payment_id.hex[:20]}", gateway="gopay",
                amount_minor=rupiah * 100, currency="IDR", status="confirmed", created_at=clock.now(),
                confirmed_at=clock.now(),
            )
        )  # fmt: skip


def told(learner: str, code: str, state: str, days_ago: float) -> None:
    """The platform says so."""
    at = clock.now() - timedelta(days=days_ago)
    with unit_of_work() as session:
        enrolment.tell(session, [Statement(learner, code, state, at)], by="client:platform")


def reported(learner: str, code: str, certificate: str, nik: str = NIK) -> None:
    """A class of one, handed in and accepted by the register, whose credential follows by itself."""
    row = {
        "nik": nik, "full_name": NAME, "completion_status": "COMPLETED", "final_score": "92.5",
        "certificate_number": certificate, "learner_id": learner,
    }  # fmt: skip
    with unit_of_work() as session:
        taken = completions.ask_for(session, Wish(LPK, code, "2024-07-15", [Row(1, row)], "client:platform"))
        rows = session.query(Completion).filter_by(report_id=taken.report.id).all()
        completion.apply(session, rows, "sent")
        session.add(
            CompletionCall(
                report_id=taken.report.id, chunk=0, participants=1, answered_at=clock.now(),
                outcome="1 accepted",
            )
        )  # fmt: skip
        completion.apply(session, rows, "accepted")

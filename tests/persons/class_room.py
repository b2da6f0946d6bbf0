"""What the tests of completions work with: classes of people, a registered program, the register's books."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa
from till import Till

from common import clock
from ministry import reporting
from ministry.line import register
from ministry.reporting import Step
from records import process, program, program_request
from records.completion import PROCESS, Completion, CompletionReport
from records.db import unit_of_work
from records.process import ProcessRun

LPK = "LPK-12345-2023"
DAY = "2024-07-15"
PATH = "/api/v1/integrations/siplatih/report-completion"


def nik(number: int) -> str:
    """A plausible NIK of its own for each number."""
    born = date(1980, 1, 1) + timedelta(days=number % 9_000)
    return f"32{1 + number % 70:02d}{1 + number // 70 % 90:02d}{born:%d%m%y}{1 + number % 9_999:04d}"


def person(number: int, **changes: Any) -> dict[str, Any]:
    """One participant; `changes` replace members, None takes one out."""
    members = {
        "nik": nik(number),
        "full_name": f"Siti Rahma {number}",
        "completion_status": "COMPLETED",
        "final_score": 92.5,
        "certificate_number": f"CERT-2024-{number:06d}",
    } | changes
    return {name: value for name, value in members.items() if value is not None}


def people(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [person(number) for number in range(first, first + count)]


def program_body(code: str) -> dict[str, Any]:
    """A training program as it is registered."""
    return {
        "program_code": code,
        "program_name": "Welding, level II",
        "program_name_en": "Welding, level II",
        "lpk_registration_number": LPK,
        "lpk_name": "LPK Teknologi Indonesia",
        "program_type": "VOCATIONAL",
        "duration_days": 180,
        "duration_hours": 1440,
        "start_date": "2024-01-15",
        "end_date": "2024-07-15",
        "location": {
            "address": "Jl. Sudirman No. 123",
            "city": "Jakarta",
            "province": "DKI Jakarta",
            "postal_code": "10220",
        },
        "skkni_code": "J.620100.004.02",
        "participant_capacity": 50,
        "instructor_qualifications": [],
        "curriculum": [{"module_name": "Arc", "duration_hours": 240, "learning_outcomes": ["Welds"]}],
    }


def program_asked(code: str) -> UUID:
    """Write down a program that is to be registered."""
    with unit_of_work() as session:
        return program_request.ask_for(
            session, program_request.Wanted(program_body(code)), by="operator:test"
        ).version.id


def program_registered(code: str = "") -> str:
    """A program that the register has and we know of; its code."""
    code = code or f"P-{uuid4().hex[:10]}"
    version_id = program_asked(code)
    made = register().register_program(program_body(code))
    with unit_of_work() as session:
        program.mark_sent(session, [version_id])
        program.apply(
            session,
            [
                program.Move(
                    version_id,
                    "registered",
                    "test",
                    "test",
                    siplatih_program_id=made.siplatih_program_id,
                    registered_at=made.registered_at,
                )
            ],
        )
        version = session.get_one(program.ProgramVersion, version_id)
        process.finish(session, version.process_run_id, "succeeded")
    return code


def due() -> list[UUID]:
    """Reports whose processes are due now, and started for one attempt."""
    with unit_of_work() as session:
        runs = session.scalars(
            sa.select(ProcessRun.id).where(
                ProcessRun.process == PROCESS,
                sa.or_(
                    ProcessRun.state == "queued",
                    sa.and_(ProcessRun.state == "waiting", ProcessRun.next_attempt_at <= clock.now()),
                ),
            )
        ).all()
        started = [run.id for run in process.start_batch(session, runs, None)]
        reports = sa.select(CompletionReport.id).where(CompletionReport.process_run_id.in_(started))
        return list(session.scalars(reports.order_by(CompletionReport.id)))


def worked() -> list[Step]:
    """Work everything that is due, once, as a flow run does."""
    return reporting.report_all(due())


def later(hours: float) -> None:
    """The tests' own clock: time goes on for every process and for the gate, as what is noted moves back."""
    gone = timedelta(hours=hours)
    with unit_of_work() as session:
        session.execute(
            sa.update(ProcessRun).values(
                created_at=ProcessRun.created_at - gone, next_attempt_at=ProcessRun.next_attempt_at - gone
            )
        )
        session.execute(
            sa.text(
                "UPDATE service_gates SET shut_since = shut_since - :gone, shut_until = shut_until - :gone,"
                " trial_until = trial_until - :gone"
            ),
            {"gone": gone},
        )


def rows(report_id: str) -> list[Completion]:
    """The participants of a report as they stand in the database."""
    with unit_of_work() as session:
        found = sa.select(Completion).filter_by(report_id=UUID(report_id)).order_by(Completion.row)
        return list(session.scalars(found))


def run_of(taken: dict[str, Any]) -> ProcessRun:
    with unit_of_work() as session:
        return session.get_one(ProcessRun, UUID(taken["process_id"]))


@dataclass
class ClassRoom:
    """A till, and the register's admin endpoints."""

    till: Till

    @property
    def http(self) -> httpx.Client:
        return self.till.http

    def ask(
        self, code: str, participants: Sequence[dict[str, Any]], headers: Any = None, **more: Any
    ) -> httpx.Response:
        """Hand in a class, whatever the answer."""
        body = {
            "program_code": code,
            "lpk_registration_number": LPK,
            "completion_date": DAY,
            "participants": list(participants),
        } | more
        kind = {"Content-Type": "application/json"}
        return self.http.post(PATH, content=json.dumps(body), headers=kind | (headers or {}))

    def asked(self, code: str, participants: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Hand in a class that is taken on."""
        answer = self.ask(code, participants, **more)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def shown(self, taken: dict[str, Any]) -> dict[str, Any]:
        """The report as the API shows it."""
        answer = self.http.get(f"/api/v1/integrations/siplatih/completions/{taken['report_id']}")
        return dict(answer.raise_for_status().json())

    def book(self, code: str) -> list[dict[str, Any]]:
        """Who is on the register's own books for a program."""
        answer = self.till.sandbox.get(f"/_sandbox/siplatih/programs/{code}")
        return list(answer.raise_for_status().json()["participants"])

    def behaves(self, **manners: Any) -> None:
        self.till.sandbox.post("/_sandbox/siplatih/manners", json=manners).raise_for_status()

    def refuses(self, certificate: str, **more: Any) -> None:
        body = {"certificate_number": certificate, **more}
        self.till.sandbox.post("/_sandbox/siplatih/refusals", json=body).raise_for_status()

    def fail(self, operation: str, kind: str, **more: Any) -> None:
        self.till.fail("siplatih", operation, kind, **more)

    def calls(self, operation: str = "complete") -> int:
        return self.till.calls("siplatih").get(operation, 0)

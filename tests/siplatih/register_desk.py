"""What the tests of the ministry's register work with: a till, the sandbox's books, and a worker's hands."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa
from till import Till, wait_until

from common import clock
from ministry import checking, registering
from ministry.registering import Step
from records import process
from records.db import unit_of_work
from records.process import ProcessRun
from records.program import PROCESS, Program, ProgramVersion
from records.service_gate import ServiceGate

API = "/api/v1/integrations/siplatih"
NAME_OF_A_PERSON = "Ratna Kusumadewi"
PROGRAM: dict[str, Any] = {
    "program_name": "Advanced Software Development",
    "lpk_registration_number": "LPK-12345-2023",
    "lpk_name": "LPK Teknologi Indonesia",
    "program_type": "VOCATIONAL",
    "sector": "INFORMATION_TECHNOLOGY",
    "sub_sector": "SOFTWARE_DEVELOPMENT",
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
    "instructor_qualifications": [
        {"name": NAME_OF_A_PERSON, "qualification": "Ph.D. Ilmu Komputer", "certification": "SERT-0001"}
    ],
    "curriculum": [
        {"module_name": "Microservices", "duration_hours": 240, "learning_outcomes": ["Designs services"]}
    ],
}


def program(**changes: Any) -> dict[str, Any]:
    """A valid program with a code of its own; `a__b` changes member b of a, None takes a member out."""
    made = {"program_code": f"P-{uuid4().hex[:12]}", **deepcopy(PROGRAM)}
    for name, value in changes.items():
        *path, last = name.split("__")
        place: Any = made
        for step in path:
            place = place[int(step)] if step.isdecimal() else place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return made


def due(name: str = PROCESS) -> list[UUID]:
    """What is due now, in its order; the API's relay may look at it at the same time."""
    runs = (
        sa.select(ProcessRun.id)
        .where(
            ProcessRun.process == name,
            sa.or_(
                ProcessRun.state == "queued",
                sa.and_(ProcessRun.state == "waiting", ProcessRun.next_attempt_at <= clock.now()),
            ),
        )
        .order_by(ProcessRun.created_at, ProcessRun.id)
    )
    with unit_of_work() as session:
        return list(session.scalars(runs))


def worked() -> list[Step]:
    """Work everything that is due, once, as a flow run does."""
    return registering.work(_started(PROCESS))


def checked() -> list[checking.Step]:
    """Ask about every credential that is due."""
    return checking.work(_started("verify-credential"))


def _started(name: str) -> list[ProcessRun]:
    ids = due(name)
    with unit_of_work() as session:
        started = process.start_batch(session, ids, None)
    return sorted(started, key=lambda run: ids.index(run.id))


def later(**gone: float) -> None:
    """The tests' own clock: time goes on, as all that is noted of it moves back."""
    by = timedelta(**gone)
    with unit_of_work() as session:
        session.execute(
            sa.update(ProcessRun).values(
                created_at=ProcessRun.created_at - by, next_attempt_at=ProcessRun.next_attempt_at - by
            )
        )
        session.execute(sa.update(ProgramVersion).values(sent_at=ProgramVersion.sent_at - by))
        session.execute(
            sa.update(ServiceGate).values(
                shut_since=ServiceGate.shut_since - by,
                shut_until=ServiceGate.shut_until - by,
                trial_until=ServiceGate.trial_until - by,
            )
        )


def gate() -> ServiceGate | None:
    with unit_of_work() as session:
        return session.get(ServiceGate, "siplatih")


def row(shown: dict[str, Any]) -> tuple[Program, ProgramVersion]:
    """A program and its newest version as they stand in the database."""
    with unit_of_work() as session:
        found = session.get_one(Program, UUID(shown["program_id"]))
        versions = sa.select(ProgramVersion).filter_by(program_id=found.id)
        return found, session.scalars(versions.order_by(ProgramVersion.version.desc())).first()  # type: ignore[return-value]


@dataclass
class Desk:
    """The API with a client's key, the register's books, and who works what comes due."""

    till: Till

    def ask(self, body: dict[str, Any], **headers: str) -> httpx.Response:
        """Ask for a program to be registered, whatever the answer."""
        return self.till.http.post(f"{API}/register", json=body, headers=headers)

    def asked(self, body: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """A program that was taken on."""
        answer = self.ask(body if body is not None else program(**changes))
        assert answer.status_code == 202, answer.text
        return dict(answer.json()["program"])

    def shown(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The program and its history as the API shows them."""
        answer = self.till.http.get(f"{API}/programs/{asked['program_id']}")
        return dict(answer.raise_for_status().json())

    def process(self, asked: dict[str, Any]) -> dict[str, Any]:
        return dict(self.till.http.get(f"/api/v1/processes/{asked['process_id']}").raise_for_status().json())

    def decide(self, asked: dict[str, Any], **word: Any) -> httpx.Response:
        """A person's word, whatever the answer."""
        body = {"reason": "The ministry said so"} | word
        return self.till.http.post(f"{API}/programs/{asked['program_id']}/decision", json=body)

    def becomes(self, asked: dict[str, Any], status: str, seconds: float = 20) -> dict[str, Any]:
        """Work what comes due until the program has that status."""

        def look() -> dict[str, Any] | None:
            worked()
            now = self.shown(asked)
            return now if now["status"] == status else None

        return wait_until(look, f"{asked['program_code']} to become {status}", seconds)

    def fail(self, operation: str, kind: str, times: int | None = 1, **more: Any) -> None:
        """What goes wrong at the register next."""
        body = {"gateway": "siplatih", "operation": operation, "kind": kind, "times": times, **more}
        self.till.sandbox.post("/_sandbox/failures", json=body).raise_for_status()

    def heal(self) -> None:
        self.till.sandbox.delete("/_sandbox/failures").raise_for_status()

    def behaves(self, **manners: Any) -> None:
        """How the register behaves from now on."""
        self.till.sandbox.post("/_sandbox/siplatih/manners", json=manners).raise_for_status()

    def books(self) -> list[dict[str, Any]]:
        """What the register has, in the order in which it took it."""
        return list(self.till.sandbox.get("/_sandbox/siplatih/programs").raise_for_status().json())

    def loses(self, number: str) -> None:
        """The register loses a program."""
        self.till.sandbox.delete(f"/_sandbox/siplatih/programs/{number}").raise_for_status()

    def calls(self, operation: str) -> list[dict[str, Any]]:
        """Calls that reached the register, in order."""
        found = self.till.sandbox.get("/_sandbox/siplatih/calls").raise_for_status().json()
        return [one for one in found if one["operation"] == operation]


def codes(programs: Sequence[dict[str, Any]]) -> list[str]:
    return [one["program_code"] for one in programs]

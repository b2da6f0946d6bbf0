"""A credential for everybody whose certified completion the ministry's register has accepted.

Only for who is known to the platform: a credential belongs to a learner. What it says of the program is what
the register has of it. The same completion again is the same credential.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common.settings import settings
from records import credential, program
from records.completion_rows import COMPLETED
from records.credential import Content, Holder, Unit
from records.person import Person
from records.program import Program
from records.sealed import unseal

if TYPE_CHECKING:
    from records.completion import Completion

_UNIT = re.compile(r"[A-U]\.[0-9]{6}\.[0-9]{3}\.[0-9]{2}")  # other codes name a set of units and not one


def issue(session: Session, accepted: "Sequence[Completion]") -> None:
    """Make the credentials of accepted participants, and have them exported, in the caller's transaction."""
    certified = [one for one in accepted if one.completion_status == COMPLETED and one.certificate_number]
    learners = _learners(session, [one.person_id for one in certified])
    by_class: dict[tuple[UUID, date], list[Holder]] = defaultdict(list)
    for one in certified:
        learner_id = learners.get(one.person_id)
        if learner_id is None or one.name is None or one.certificate_number is None:
            continue
        score = None if one.final_score is None else str(one.final_score.normalize())
        by_class[one.program_id, one.completion_date].append(
            Holder(learner_id, unseal(one.name).decode(), one.certificate_number, score=score)
        )
    for (program_id, day), holders in by_class.items():
        of = session.get_one(Program, program_id)
        content = program.registered_content(session, of)
        if content is not None:
            credential.from_completion(
                session,
                program_code=of.program_code,
                lpk_registration_number=of.lpk_registration_number,
                achievement=_achievement(content),
                issued_on=day,
                holders=holders,
                targets=settings().export_targets,
            )


def _achievement(content: Mapping[str, Any]) -> Content:
    """What a badge says of the program."""
    modules = ", ".join(one["module_name"] for one in content.get("curriculum", ()))
    name = str(content["program_name"])
    code = str(content.get("skkni_code") or "")
    return Content(
        name=name,
        description=f"{name} at {content['lpk_name']}: {modules}",
        criteria=f"Completed {name} at {content['lpk_name']} and was certified by it; the completion is on "
        "the register of Indonesia's Ministry of Manpower.",
        skkni_units=(Unit(code, name),) if _UNIT.fullmatch(code) else (),
        hours=content.get("duration_hours"),
    )


def _learners(session: Session, person_ids: Sequence[UUID]) -> dict[UUID, str]:
    found = session.execute(
        sa.select(Person.id, Person.learner_id).where(
            Person.id.in_(person_ids), Person.learner_id.is_not(None)
        )
    )
    return {id_: learner_id for id_, learner_id in found if learner_id is not None}

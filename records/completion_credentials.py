"""A credential for everybody whose certified completion the ministry's register has accepted.

Only for who is known to the platform: a credential belongs to a learner. What it says of the program is what
the register has of it. The same completion again is the same credential.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common.settings import settings
from records import credential, program
from records.completion_rows import COMPLETED
from records.credential import Content, Credential, Holder, Unit
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
        holder = Holder(learner_id, one.name, one.certificate_number, score=_score(one.final_score))
        by_class[one.program_id, one.completion_date].append(holder)
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


def _score(score: Decimal | None) -> str | None:
    """As a badge shows it: `92.5`, and `100`, which a plain str would write as `1E+2`."""
    return None if score is None else f"{score.normalize():f}"


def differing(session: Session, corrected: "Sequence[Completion]") -> list[UUID]:
    """Credentials in force that say otherwise than these completions of one program, which were corrected: a
    signed badge is not changed, so a person revokes it, and where one is due tells it anew."""
    if not corrected:
        return []
    learners = _learners(session, [one.person_id for one in corrected])
    told: dict[tuple[str, str], Completion] = {}  # by learner and certificate number, also the one before
    for one in corrected:
        before = _accepted_before(session, one)
        for number in {one.certificate_number, before.certificate_number if before is not None else None}:
            if number is not None and one.person_id in learners:
                told[learners[one.person_id], number] = one
    code = session.get_one(Program, corrected[0].program_id).program_code
    in_force = sa.select(Credential).where(
        Credential.program_code == code,
        Credential.learner_id.in_({learner for learner, _ in told}),
        Credential.state != "revoked",
    )
    return [
        one.id
        for one in session.scalars(in_force.order_by(Credential.id))
        if (found := told.get((one.learner_id, one.certificate_number))) and not _says(one, found)
    ]


def _accepted_before(session: Session, one: "Completion") -> "Completion | None":
    """What the register accepted before this correction; between the two may lie some that it refused."""
    before = session.get(type(one), one.supersedes) if one.supersedes is not None else None
    while before is not None and before.state != "accepted":
        before = session.get(type(one), before.supersedes) if before.supersedes is not None else None
    return before


def _says(one: Credential, completed: "Completion") -> bool:
    name = unseal(completed.name).decode() if completed.name else None
    return (
        completed.completion_status == COMPLETED
        and one.certificate_number == completed.certificate_number
        and one.issued_on == completed.completion_date
        and _number(one.score) == _number(_score(completed.final_score))
        and one.holder_name() == name
    )


def _number(score: str | None) -> Decimal | str | None:
    """`92.50` and `92.5` are the same score."""
    try:
        return None if score is None else Decimal(score)
    except InvalidOperation:
        return score


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

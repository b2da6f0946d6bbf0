"""Ask for an export: of some credentials by their ids, or of all of a program."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common.errors import BadInput
from credentials.exports import TARGETS
from records import credential_export, linkedin_share, process
from records.credential import Credential
from records.credential_export import PROCESS
from records.linkedin_share import Visibility
from records.process import ProcessRun

MOST_NAMED = 1_000  # ids in one request; a program may have any number


@dataclass(frozen=True)
class Wish:
    """What is to be exported where to. Either ids, or a program."""

    credential_ids: Sequence[UUID] = ()
    program_code: str | None = None
    targets: Sequence[str] = ("open_badge",)


def ask_for(session: Session, wish: Wish, flow_run_id: UUID | None = None) -> tuple[ProcessRun, int]:
    """Open the process that exports them, and say how many exports it has to do.

    What is done already stays as it is; where a person had to look it is tried anew. flow_run_id: the flow
    run that works it at once; without one it waits for the relay. Raises BadInput with what is wrong.
    """
    ids = _chosen(session, wish)
    unknown = [target for target in wish.targets if target not in TARGETS]
    if unknown or not wish.targets:
        raise BadInput(f"A target is one of {', '.join(TARGETS)}")
    name = wish.program_code or f"{len(ids)} credentials"
    given = {
        "targets": list(dict.fromkeys(wish.targets)),
        "credentials": len(ids),
        **({"program_code": wish.program_code} if wish.program_code else {}),
        **({"credential_ids": [str(one) for one in ids]} if not wish.program_code else {}),
    }
    run, _ = process.request(session, PROCESS, f"{name}/{uuid4().hex[:12]}", given, flow_run_id)
    return run, credential_export.take_over(session, run.id, ids, wish.targets)


def _chosen(session: Session, wish: Wish) -> list[UUID]:
    if bool(wish.credential_ids) == bool(wish.program_code):
        raise BadInput("Give either credential_ids or a program_code")
    if wish.program_code:
        of_program = sa.select(Credential.id).where(Credential.program_code == wish.program_code)
        found = list(session.scalars(of_program.order_by(Credential.id)))
        if not found:
            raise BadInput("There is no credential of this program")
        return found
    wanted = list(dict.fromkeys(wish.credential_ids))
    if len(wanted) > MOST_NAMED:
        raise BadInput(f"At most {MOST_NAMED:,} credential_ids go into one request; name the program instead")
    known = set(session.scalars(sa.select(Credential.id).where(Credential.id.in_(wanted))))
    missing = [one for one in wanted if one not in known]
    if missing:
        raise BadInput(f"There is no credential {missing[0]}")
    return wanted


def share(
    session: Session, credential_id: UUID, text: str, visibility: Visibility, *, agreed_with: str
) -> tuple[ProcessRun, int]:
    """Have a credential shared on LinkedIn: its learner has seen the text, and agreed.

    agreed_with: through whom the learner said so. As often as it is asked for, it is one post.
    """
    linkedin_share.agree(session, credential_id, text, visibility, agreed_with=agreed_with)
    return ask_for(session, Wish([credential_id], targets=[linkedin_share.TARGET]))

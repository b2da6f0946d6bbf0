"""The states of credentials: valid, suspended, revoked. One door, which also turns the status list."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from records import european_credential, linkedin_share, status_list
from records.credential import Credential, CredentialEvent, OpenBadge

# What may follow what. A revocation cannot be undone; the database holds that too.
MOVES: dict[str, frozenset[str]] = {
    "valid": frozenset({"suspended", "revoked"}),
    "suspended": frozenset({"valid", "revoked"}),
    "revoked": frozenset(),
}
WITHDRAWN = "withdrawn at the learner's request"


class NotPossible(Exception):
    """A change of state that cannot be; says why, in a sentence. Nothing was changed."""


def apply(session: Session, credential_id: UUID, to_state: str, *, source: str, reason: str) -> Credential:
    """Move a credential to a state and have its status list signed anew; the same state again is no change.

    source: `client:…`, `operator:…`. reason: shown on the public page, nothing personal. Raises
    NotPossible, NoResultFound where there is no such credential.
    """
    found = session.get_one(Credential, credential_id, with_for_update={"of": Credential})
    if found.state == to_state:
        return found
    if to_state not in MOVES[found.state]:
        since = found.state_since.astimezone(clock.JAKARTA)
        raise NotPossible(
            f"It was revoked on {since:%d %b %Y}, and a revocation cannot be undone. Issue a new credential "
            "under a new certificate number."
        )
    session.add(
        CredentialEvent(
            credential_id=found.id, from_state=found.state, to_state=to_state, source=source, reason=reason
        )
    )
    found.state, found.state_since = to_state, clock.now()
    found.reason = None if to_state == "valid" else reason
    status_list.changed(session, [found.status_list])
    return found


def show_name(session: Session, credential_id: UUID, *, is_agreed: bool, source: str) -> Credential:
    """Let the public page show the holder's name and certificate number, or no longer: the learner's word.

    source: who passed the word on. Raises NotPossible where nothing personal is left, NoResultFound where
    there is no such credential.
    """
    found = session.get_one(Credential, credential_id, with_for_update={"of": Credential})
    if found.withdrawn_at is not None:
        raise NotPossible("It was withdrawn at the learner's request: there is no name any more.")
    if found.name_is_public != is_agreed:
        found.name_is_public = is_agreed
        session.add(
            CredentialEvent(
                credential_id=found.id,
                from_state=found.state,
                to_state=found.state,
                source=source,
                reason="the learner agreed to show the name" if is_agreed else "the learner shows no name",
            )
        )
    return found


def history(session: Session, credential_id: UUID) -> list[CredentialEvent]:
    """What happened to a credential's state, in order."""
    wanted = sa.select(CredentialEvent).where(CredentialEvent.credential_id == credential_id)
    return list(session.scalars(wanted.order_by(CredentialEvent.id)))


def not_valid(session: Session, number: int, states: tuple[str, ...]) -> list[int]:
    """Indexes in a status list whose credentials are in one of these states."""
    wanted = sa.select(Credential.status_index).where(
        Credential.status_list == number, Credential.state.in_(states), Credential.state != "valid"
    )
    return list(session.scalars(wanted))


@dataclass(frozen=True)
class Withdrawn:
    """How many credentials of a learner were emptied."""

    credentials: int


def withdraw(session: Session, learner_id: str, *, source: str) -> Withdrawn:
    """Erase what is personal in a learner's credentials: they are revoked, their badges and names deleted.

    The public page says `withdrawn` from then on, and the bit in the status list stays set.
    """
    wanted = sa.select(Credential).where(Credential.learner_id == learner_id)
    rows = list(session.scalars(wanted.order_by(Credential.id).with_for_update(of=Credential)))
    for one in rows:
        apply(session, one.id, "revoked", source=source, reason=WITHDRAWN)
        one.name, one.email, one.email_hash, one.email_salt, one.score = None, None, None, None, None
        one.name_is_public, one.withdrawn_at = False, clock.now()
        one.learner_id, one.certificate_number = f"withdrawn {one.id}", "withdrawn"
    session.flush()
    ids = [one.id for one in rows]
    session.execute(sa.delete(OpenBadge).where(OpenBadge.credential_id.in_(ids)))
    european_credential.erase(session, ids)
    linkedin_share.erase(session, ids)
    return Withdrawn(len(rows))

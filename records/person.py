"""Persons: NIK and name sealed at rest, found by a keyed hash of the NIK, shown in full only with a reason.

Nothing here puts a NIK or a name into an error. Who wants one whole goes through `reveal`, which leaves a
line in the audit in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from common import nik as niks
from records import audit
from records.db import Base
from records.sealed import keyed_hash, seal, unseal

_TIME = TIMESTAMP(timezone=True)


class Person(Base):
    """Somebody of whom we know the NIK. learner_id: the platform's name for the same person.

    Who was erased keeps the row without anything personal, so that reports and audit stay whole.
    """

    __tablename__ = "persons"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    nik_hash: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    nik: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    name: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    learner_id: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    erased_at: Mapped[datetime | None] = mapped_column(_TIME)


@dataclass(frozen=True)
class Named:
    """Somebody as a report names them."""

    nik: str = field(repr=False)
    name: str = field(repr=False)
    learner_id: str | None = None


@dataclass(frozen=True)
class Identity:
    """A person in full, for the one who gave a reason."""

    nik: str = field(repr=False)
    name: str = field(repr=False)


_NOTE_LEARNERS = sa.text(
    """UPDATE persons SET learner_id = given.learner_id
       FROM unnest(CAST(:ids AS uuid[]), CAST(:learners AS text[])) AS given (id, learner_id)
       WHERE persons.id = given.id AND persons.learner_id IS DISTINCT FROM given.learner_id"""
)


def hash_of(nik: str) -> bytes:
    """By which a NIK is found, and which gives nothing away."""
    return keyed_hash("nik", nik.encode(), key="persons")


def find(session: Session, nik: str) -> Person | None:
    """Who has this NIK, if we know them."""
    return session.scalars(sa.select(Person).filter_by(nik_hash=hash_of(nik))).one_or_none()


def keep_many(session: Session, people: Sequence[Named]) -> list[UUID]:
    """The ids of these people, in their order; who is not known yet is kept, and a learner's id is noted.

    people: no NIK twice.
    """
    hashes = [hash_of(one.nik) for one in people]
    known = _ids(session, hashes)
    new = [(hash_, one) for hash_, one in zip(hashes, people, strict=True) if hash_ not in known]
    if new:
        # In one order, whatever the report's: two at once wait for each other and never in a ring.
        new.sort(key=lambda pair: pair[0])
        rows = [
            {
                "nik_hash": hash_,
                "nik": seal(one.nik.encode()),
                "name": seal(one.name.encode()),
                "learner_id": one.learner_id,
            }
            for hash_, one in new
        ]
        session.execute(insert(Person).on_conflict_do_nothing(index_elements=["nik_hash"]), rows)
        known |= _ids(session, [hash_ for hash_, _ in new])
    told = {known[hash_]: one.learner_id for hash_, one in zip(hashes, people, strict=True) if one.learner_id}
    if told:
        session.execute(_NOTE_LEARNERS, {"ids": list(told), "learners": list(told.values())})
    return [known[hash_] for hash_ in hashes]


def rename(session: Session, names: Mapping[UUID, bytes]) -> None:
    """Give persons another name, which a correction brings. names: sealed, by person."""
    if names:
        session.execute(sa.update(Person), [{"id": id_, "name": name} for id_, name in names.items()])


def masked_nik(person: Person) -> str | None:
    """As much of the NIK as may be shown; None of who was erased."""
    return niks.masked(unseal(person.nik).decode()) if person.nik else None


def identities(session: Session, person_ids: Sequence[UUID]) -> dict[UUID, Identity]:
    """Whole persons for a call that sends them on, which writes the audit. Who was erased is left out."""
    found = session.execute(
        sa.select(Person.id, Person.nik, Person.name).where(
            Person.id.in_(person_ids), Person.erased_at.is_(None)
        )
    )
    return {
        id_: Identity(unseal(nik).decode(), unseal(name).decode()) for id_, nik, name in found if nik and name
    }


def reveal(session: Session, person: Person, *, by: str, reason: str, origin: str) -> Identity | None:
    """NIK and name for somebody who says why, with a line in the audit; None of who was erased.

    Raises BadInput where no reason is given.
    """
    why = audit.checked_reason(reason)
    if person.erased_at is not None:
        return None
    assert person.nik
    assert person.name
    audit.note(
        session,
        [person.id],
        "revealed",
        ["nik", "full_name"],
        by=by,
        recipient=by,
        reason=why,
        origin=origin,
    )
    return Identity(unseal(person.nik).decode(), unseal(person.name).decode())


def _ids(session: Session, hashes: Sequence[bytes]) -> dict[bytes, UUID]:
    wanted = sa.literal(list(hashes), ARRAY(sa.LargeBinary))
    found = session.execute(sa.select(Person.nik_hash, Person.id).where(Person.nik_hash == sa.any_(wanted)))
    return {bytes(hash_): id_ for hash_, id_ in found if hash_}

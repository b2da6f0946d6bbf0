"""Training programs for the ministry's register: what was asked to be registered, and how far it is.

A program is known by its LPK and code. What is asked is a version of it: the row is written before the call,
and `apply` is the one door for each change of its state.

    pending → registered | rejected | conflict | unknown      unknown → pending (it never arrived) …

`is_outstanding`: sent, and no answer that we understand: the register is asked before anything is sent again.
"""

import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from common import clock
from records.db import Base, among
from records.sealed import keyed_hash, seal, unseal_json

PROCESS = "register-program"
SERVICE = "siplatih"
Status = Literal["pending", "registered", "rejected", "unknown", "conflict"]
STATUSES: tuple[Status, ...] = ("pending", "registered", "rejected", "unknown", "conflict")
UNDER_WAY: frozenset[str] = frozenset({"pending", "unknown"})
MOVES: dict[str, frozenset[str]] = {
    "pending": frozenset({"registered", "rejected", "unknown", "conflict"}),
    "unknown": frozenset({"pending", "registered", "rejected", "conflict"}),
    "rejected": frozenset({"pending", "registered"}),  # tried again, or a person says so
    "conflict": frozenset({"pending", "registered"}),
    "registered": frozenset(),
}
_TIME = TIMESTAMP(timezone=True)
SEALED = "instructor_qualifications"  # of a program's members: persons


class Program(Base):
    """A training program of one LPK. siplatih_program_id: the register's number, once it is registered."""

    __tablename__ = "training_programs"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    lpk_registration_number: Mapped[str] = mapped_column(sa.Text(collation="C"))
    program_code: Mapped[str] = mapped_column(sa.Text(collation="C"))
    lpk_name_key: Mapped[str] = mapped_column(sa.Text)
    siplatih_program_id: Mapped[str | None] = mapped_column(sa.Text(collation="C"))
    registered_at: Mapped[datetime | None] = mapped_column(_TIME)
    registered_version: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


class ProgramVersion(Base):
    """What was asked to be registered. content: as it is sent, but for the instructors, who are sealed.

    faults: what the register minds, by field; sends: how often it was sent; problem: a sentence for people.
    """

    __tablename__ = "program_versions"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    program_id: Mapped[UUID] = mapped_column(sa.ForeignKey("training_programs.id"))
    version: Mapped[int]
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    instructors: Mapped[bytes]
    fingerprint: Mapped[bytes]
    status: Mapped[str] = mapped_column(sa.Text, server_default="pending")
    is_outstanding: Mapped[bool] = mapped_column(server_default=sa.text("false"))
    sends: Mapped[int] = mapped_column(server_default="0")
    sent_at: Mapped[datetime | None] = mapped_column(_TIME)
    problem: Mapped[str | None] = mapped_column(sa.Text)
    faults: Mapped[list[dict[str, str]]] = mapped_column(JSONB, server_default="[]")
    warnings: Mapped[list[dict[str, str]]] = mapped_column(JSONB, server_default="[]")
    requested_by: Mapped[str] = mapped_column(sa.Text)
    process_run_id: Mapped[UUID] = mapped_column(sa.ForeignKey("process_runs.id"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    updated_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


class ProgramEvent(Base):
    """One thing that happened to a program. evidence: the register's answer, sealed."""

    __tablename__ = "program_events"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    program_id: Mapped[UUID] = mapped_column(sa.ForeignKey("training_programs.id"))
    version: Mapped[int]
    at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    from_status: Mapped[str | None] = mapped_column(sa.Text)
    to_status: Mapped[str] = mapped_column(sa.Text)
    cause: Mapped[str] = mapped_column(sa.Text)
    source: Mapped[str] = mapped_column(sa.Text)
    note: Mapped[str | None] = mapped_column(sa.Text)
    evidence: Mapped[bytes | None]


class Refused(Exception):
    """It cannot be asked for as it is. slug: the kind of problem that the API answers; says what to do."""

    def __init__(self, slug: str, detail: str) -> None:
        self.slug = slug
        super().__init__(detail)


@dataclass(frozen=True)
class Move:
    """A change of one version. outstanding: it was sent and may have arrived; None leaves that as it is.

    was_sent: one call more went out for it. counts_anew: a person lets it be sent again.
    """

    version_id: UUID
    to_status: Status
    cause: str
    source: str
    note: str | None = None
    problem: str | None = None
    faults: tuple[dict[str, str], ...] = ()
    outstanding: bool | None = None
    siplatih_program_id: str | None = None
    registered_at: datetime | None = None
    was_sent: bool = False
    counts_anew: bool = False
    evidence: bytes = field(default=b"", repr=False)


def newest_version(session: Session, program: Program) -> ProgramVersion | None:
    """The version that was asked for last."""
    of_program = sa.select(ProgramVersion).filter_by(program_id=program.id)
    return session.scalars(of_program.order_by(ProgramVersion.version.desc()).limit(1)).one_or_none()


def fingerprint_of(content: Mapping[str, Any]) -> bytes:
    """A keyed hash of the whole content, instructors too, whatever the order of its members."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return keyed_hash("program", text.encode())


def body_of(version: ProgramVersion) -> dict[str, Any]:
    """The program as it is sent. Holds instructors' names: for the provider only."""
    return {**version.content, SEALED: unseal_json(version.instructors)}


def name_key(name: str) -> str:
    """A name by which the same is found again, however it is spaced and capitalised."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace(".", " ").split())


def apply(session: Session, moves: Sequence[Move]) -> set[UUID]:
    """Move versions: the one door for every change, for one or many. Tells which of them have moved.

    A backward move changes nothing; one that stays where it is only notes the newest problem, and writes
    history where that is news. What is registered gives the program its number.
    """
    by_id = {move.version_id: move for move in moves}
    versions = session.scalars(
        sa.select(ProgramVersion)
        .where(ProgramVersion.id == among(by_id))
        .order_by(ProgramVersion.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    programs = _locked(
        session, [one.program_id for one in versions if by_id[one.id].to_status == "registered"]
    )
    moved = set()
    now = clock.now()
    for version in versions:
        move = by_id[version.id]
        version.sends = 0 if move.counts_anew else version.sends + move.was_sent
        stays = move.to_status == version.status
        if not stays and move.to_status not in MOVES[version.status]:
            continue
        is_news = not stays or (move.note is not None and move.problem != version.problem)
        before, version.status = version.status, move.to_status
        version.problem, version.faults, version.updated_at = move.problem, list(move.faults), now
        if move.outstanding is not None:
            version.is_outstanding = move.outstanding
        if move.to_status not in UNDER_WAY:
            version.is_outstanding = False
        if move.to_status == "registered" and not stays:
            program = programs[version.program_id]
            program.siplatih_program_id = move.siplatih_program_id
            program.registered_at, program.registered_version = move.registered_at, version.version
        if is_news:
            session.add(
                _event(version, before, move.cause, move.source, note=move.note, evidence=move.evidence)
            )
        moved.add(version.id)
    session.flush()
    return moved


def _locked(session: Session, ids: Collection[UUID]) -> dict[UUID, Program]:
    """Programs that get their number, locked in the order in which a file of programs locks them."""
    if not ids:
        return {}
    rows = session.scalars(
        sa.select(Program)
        .where(Program.id == among(ids))
        .order_by(Program.lpk_registration_number, Program.program_code)
        .with_for_update()
    )
    return {one.id: one for one in rows}


def mark_sent(session: Session, version_ids: Collection[UUID]) -> None:
    """Note that these are about to be sent: from now on the register is asked before they are sent again."""
    session.execute(
        sa.update(ProgramVersion)
        .where(ProgramVersion.id == among(version_ids))
        .values(is_outstanding=True, sent_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def listed(
    *, status: str | None = None, program_code: str | None = None
) -> sa.Select[Program, ProgramVersion]:
    """Programs with their newest version, narrowed down; the caller orders and limits."""
    newer = aliased(ProgramVersion)
    has_newer = sa.exists().where(newer.program_id == Program.id, newer.version > ProgramVersion.version)
    query = (
        sa.select(Program, ProgramVersion)
        .select_from(Program)
        .join(ProgramVersion, ProgramVersion.program_id == Program.id)
        .where(~has_newer)
    )
    if status is not None:
        query = query.where(ProgramVersion.status == status)
    if program_code is not None:
        query = query.where(Program.program_code == program_code)
    return query


def find(session: Session, lpk_registration_number: str, program_code: str) -> Program | None:
    """The program of that LPK and code."""
    names = {"lpk_registration_number": lpk_registration_number, "program_code": program_code}
    return session.scalars(sa.select(Program).filter_by(**names)).one_or_none()


def registered_content(session: Session, program: Program) -> dict[str, Any] | None:
    """What the register has of a program, without its instructors; None where it is not registered."""
    found = sa.select(ProgramVersion.content).filter_by(
        program_id=program.id, version=program.registered_version
    )
    return session.scalars(found).one_or_none()


def history(session: Session, program: Program) -> list[ProgramEvent]:
    """What happened to a program, in order."""
    found = sa.select(ProgramEvent).filter_by(program_id=program.id).order_by(ProgramEvent.id)
    return list(session.scalars(found))


def resource(program: Program, version: ProgramVersion) -> dict[str, Any]:
    """The program as others see it: JSON values, no person's name."""
    return {
        "program_id": str(program.id),
        "lpk_registration_number": program.lpk_registration_number,
        "program_code": program.program_code,
        "program_name": version.content["program_name"],
        "version": version.version,
        "status": version.status,
        "siplatih_program_id": program.siplatih_program_id,
        "registered_at": iso(program.registered_at),
        "registered_version": program.registered_version,
        "sent": version.sends,
        "problem": version.problem,
        "faults": version.faults,
        "warnings": version.warnings,
        "requested_by": version.requested_by,
        "process_id": str(version.process_run_id),
        "created_at": iso(version.created_at),
        "updated_at": iso(version.updated_at),
    }


def iso(at: datetime | None) -> str | None:
    """A moment as JSON has it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def _event(
    version: ProgramVersion,
    before: str | None,
    cause: str,
    source: str,
    *,
    note: str | None = None,
    evidence: bytes = b"",
) -> ProgramEvent:
    return ProgramEvent(
        program_id=version.program_id,
        version=version.version,
        from_status=before,
        to_status=version.status,
        cause=cause,
        source=source,
        note=note,
        evidence=seal(evidence) if evidence else None,
    )

"""Programs that are asked to be registered, written down with their processes: one, or a file of thousands.

In two steps, so that nothing is written where one of many is refused: `hold` locks each program and tells
what is known of it, `write` writes down what is new. Each takes the same few statements for CHUNK programs as
for one. Programs are locked in the order of their LPK and code, whatever the caller's: who asks for the same
ones at the same time waits, and never in a ring.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.orm import Session

from records import process, service_gate
from records.db import among, id_list
from records.process import ProcessRun
from records.program import (
    PROCESS,
    SEALED,
    SERVICE,
    UNDER_WAY,
    Program,
    ProgramVersion,
    Refused,
    fingerprint_of,
    name_key,
)
from records.sealed import json_sealer

CHUNK = 500
_NEW_LPK = 0x70726F67  # any number that nobody else locks
Item = TypeVar("Item")
Key = tuple[str, str]  # LPK number and program code

_MAKE = sa.text(
    """INSERT INTO training_programs (lpk_registration_number, program_code, lpk_name_key)
       SELECT number, code, name
       FROM unnest(CAST(:numbers AS text[]), CAST(:codes AS text[]), CAST(:names AS text[]))
           WITH ORDINALITY AS given (number, code, name, place)
       ORDER BY place
       ON CONFLICT (lpk_registration_number, program_code) DO NOTHING"""
)
_NOTE = sa.text(
    """INSERT INTO program_events (program_id, version, to_status, cause, source, note)
       SELECT program_id, version, status, 'request', :by,
           format('Version %s was asked to be registered.', version)
       FROM program_versions WHERE process_run_id = ANY (CAST(:runs AS uuid[])) ORDER BY id"""
)


@dataclass(frozen=True)
class Wanted:
    """A checked program that is to be registered. change: the explicit word without which another content of
    a registered program is refused."""

    content: Mapping[str, Any] = field(repr=False)
    change: bool = False
    warnings: Sequence[dict[str, str]] = ()

    @property
    def key(self) -> Key:
        """By what the program is known."""
        return self.content["lpk_registration_number"], self.content["program_code"]


class Asked(NamedTuple):
    """A program that was asked to be registered, and its process. is_new: this very version was not known."""

    program: Program
    version: ProgramVersion
    run: ProcessRun
    is_new: bool


@dataclass(frozen=True)
class Held:
    """What is to be written down: this content as that version of the program, whose row is locked."""

    program: Program
    version: int
    wanted: Wanted
    fingerprint: bytes = field(repr=False)


def ask_for(session: Session, wanted: Wanted, *, by: str, flow_run_id: UUID | None = None) -> Asked:
    """Write down a program and open its process; the same content again finds the same one. by: an actor.

    Raises Refused (`program-under-way`, `program-registered`).
    """
    (found,) = hold(session, [wanted])
    if isinstance(found, Refused):
        raise found
    if isinstance(found, Held):
        (found,) = write(session, [found], by=by, flow_run_id=flow_run_id)
    return found


def hold(session: Session, wanted: Sequence[Wanted]) -> list[Asked | Held | Refused]:
    """For each, in their order: as it was asked for before, or what is to be written down, or why it cannot
    be. Their programs stay locked until the transaction ends. wanted: no program twice."""
    by_key = {one.key: one for one in wanted}
    found: dict[Key, Asked | Held | Refused] = {}
    for keys in _in_chunks(sorted(by_key)):
        programs = _locked(session, {key: name_key(by_key[key].content["lpk_name"]) for key in keys})
        newest = _newest(session, programs)
        prints = {key: fingerprint_of(by_key[key].content) for key in keys}
        known = {
            key: newest[one.id]
            for key, one in programs.items()
            if one.id in newest and newest[one.id].fingerprint == prints[key]
        }
        runs = _runs(session, [one.process_run_id for one in known.values()])
        for key, program in programs.items():
            version = newest.get(program.id)
            refused = _why_not(program, version, change=by_key[key].change)
            if key in known:
                found[key] = Asked(program, known[key], runs[known[key].process_run_id], is_new=False)
            elif refused is not None:
                found[key] = refused
            else:
                number = version.version + 1 if version else 1
                found[key] = Held(program, number, by_key[key], prints[key])
    return [found[one.key] for one in wanted]


def write(session: Session, held: Sequence[Held], *, by: str, flow_run_id: UUID | None = None) -> list[Asked]:
    """Write down new versions and open their processes, which go in this order. flow_run_id: the flow run
    that works them at once; without one they wait for the relay."""
    seal = json_sealer()
    asked = []
    for some in _in_chunks(held):
        keys = ["/".join((*one.wanted.key, str(one.version))) for one in some]
        inputs = {key: _input(one) for key, one in zip(keys, some, strict=True)}
        runs = process.request_many(session, PROCESS, inputs, flow_run_id)
        service_gate.wait_while_shut(session, SERVICE, runs.values())
        rows = [
            {
                "program_id": one.program.id,
                "version": one.version,
                "content": {name: value for name, value in one.wanted.content.items() if name != SEALED},
                "instructors": seal(one.wanted.content.get(SEALED, [])),
                "fingerprint": one.fingerprint,
                "warnings": list(one.wanted.warnings),
                "requested_by": by,
                "process_run_id": runs[key].id,
            }
            for key, one in zip(keys, some, strict=True)
        ]
        made = session.scalars(sa.insert(ProgramVersion).returning(ProgramVersion), rows)
        versions = {one.process_run_id: one for one in made}
        session.execute(_NOTE, {"runs": id_list(versions), "by": by})
        for key, one in zip(keys, some, strict=True):
            run = runs[key]
            asked.append(Asked(one.program, versions[run.id], run, is_new=True))
    return asked


def _input(one: Held) -> dict[str, Any]:
    number, code = one.wanted.key
    return {"lpk_registration_number": number, "program_code": code, "version": one.version}


def _why_not(program: Program, newest: ProgramVersion | None, *, change: bool) -> Refused | None:
    """Why another content cannot be asked for now."""
    if newest is None:
        return None
    if newest.status in UNDER_WAY:
        return Refused(
            "program-under-way",
            f"Version {newest.version} of {program.program_code} is still being registered, with other "
            "content. Wait until its process has ended, then send the change.",
        )
    if program.siplatih_program_id is not None and not change:
        return Refused(
            "program-registered",
            f"{program.program_code} is registered with other content, as {program.siplatih_program_id}. "
            'Say "change": true if this is to be sent as a new version.',
        )
    return None


def _locked(session: Session, names: Mapping[Key, str]) -> dict[Key, Program]:
    """The programs' rows, locked in their order; made where there is none. names: of the LPK, as a key.

    The lock leaves room for rows that refer to a program: a worker writes history meanwhile.
    """
    numbers, codes = zip(*names, strict=True)
    session.execute(_MAKE, {"numbers": list(numbers), "codes": list(codes), "names": list(names.values())})
    keys = _pairs(names)
    rows = session.scalars(
        sa.select(Program)
        .join(keys, sa.and_(Program.lpk_registration_number == keys.c.a, Program.program_code == keys.c.b))
        .order_by(Program.lpk_registration_number, Program.program_code)
        .with_for_update(of=Program, key_share=True)
        .execution_options(populate_existing=True)
    )
    return {(one.lpk_registration_number, one.program_code): one for one in rows}


def _newest(session: Session, programs: Mapping[Key, Program]) -> dict[UUID, ProgramVersion]:
    """The version of each that was asked for last, by program."""
    listed = sa.cast(sa.literal(id_list(one.id for one in programs.values())), ARRAY(sa.Uuid))
    given = sa.func.unnest(listed).table_valued("id").render_derived(name="given")
    rows = session.scalars(
        sa.select(ProgramVersion)
        .ext(distinct_on(ProgramVersion.program_id))
        .join(given, ProgramVersion.program_id == given.c.id)
        .order_by(ProgramVersion.program_id, ProgramVersion.version.desc())
        .execution_options(populate_existing=True)
    )
    return {one.program_id: one for one in rows}


def _runs(session: Session, ids: Collection[UUID]) -> dict[UUID, ProcessRun]:
    if not ids:
        return {}
    return {run.id: run for run in session.scalars(sa.select(ProcessRun).where(ProcessRun.id == among(ids)))}


def known_lpks(session: Session, lpks: Collection[Key]) -> dict[Key, bool]:
    """Which of these LPK, by name (as a key) and registration number, have programs: under this number, or
    (False) under another one only. One that has none is left out: who brings the first program of an LPK does
    so alone, so that two slips at once are noticed too."""
    known = _known_lpks(session, lpks)
    if len(known) < len(lpks):
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_NEW_LPK)))
        known = _known_lpks(session, lpks)
    return known


def _known_lpks(session: Session, lpks: Collection[Key]) -> dict[Key, bool]:
    given = _pairs(lpks)
    same_name = sa.exists().where(Program.lpk_name_key == given.c.a)
    same = same_name.where(Program.lpk_registration_number == given.c.b)
    rows = session.execute(sa.select(given.c.a, given.c.b, same).where(same_name))
    return {(name, number): is_same for name, number, is_same in rows}


def _pairs(pairs: Collection[Key]) -> Any:
    """Pairs of texts as a table with the columns a and b, however many in one and the same statement."""
    lists = [sa.literal([one[side] for one in pairs], ARRAY(sa.Text)) for side in (0, 1)]
    return sa.func.unnest(*lists).table_valued("a", "b").render_derived(name="given")


def _in_chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for at in range(0, len(items), CHUNK):
        yield items[at : at + CHUNK]

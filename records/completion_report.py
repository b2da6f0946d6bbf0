"""Taking on a report of completions: what of it is new, what the ministry has, what contradicts it.

The same content is the same report, however often it comes and by whichever door. Of a person the same values
are never sent twice; other values need the word that they are a correction.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from common import clock
from records import completion, person, process, service_gate
from records.completion import PROCESS, Completion, CompletionReport
from records.completion_rows import COMPLETED, Checked, Fault, Participant, Row, rate
from records.person import Named
from records.process import ProcessRun
from records.program import SERVICE, Program
from records.sealed import keyed_hash, seal


@dataclass(frozen=True)
class Wanted:
    """A class to be reported. requested_by: `client:…` or `operator:…`."""

    program: Program
    day: date
    rows: Sequence[Row] = field(repr=False)
    allow_partial: bool
    is_correction: bool
    requested_by: str


@dataclass(frozen=True)
class Taken:
    """A report that was taken on, or was there already."""

    report: CompletionReport
    run: ProcessRun
    is_new: bool


class Refused(Exception):
    """Nothing was taken on; `faults` has all that is wrong. bad: how many rows those are."""

    def __init__(self, faults: Sequence[Fault], bad: int, rows: int) -> None:
        self.faults = list(faults)
        self.bad = bad
        whole = [fault for fault in faults if not fault.row]
        told = f"{bad:,} of {rows:,} participants cannot be reported" if bad else whole[0].reason
        super().__init__(f"{told}; nothing was sent")


def take_on(session: Session, wanted: Wanted, checked: Checked, chunk_size: int) -> Taken:
    """Write the report with its participants and its process, in the caller's transaction.

    checked: what `completion_rows.check` found. Raises Refused where a row is bad, unless `allow_partial`,
    and always where the report as a whole is.
    """
    content = _content(wanted)
    _alone(session, wanted)
    known = session.scalars(
        sa.select(CompletionReport).filter_by(program_id=wanted.program.id, content=content)
    ).one_or_none()
    if known is not None:
        return _again(session, known)
    faults, bad = list(checked.faults), checked.bad
    if any(not fault.row for fault in faults):
        raise Refused(faults, bad, len(wanted.rows))
    there = _there(session, wanted.program)
    held = _held(session, wanted.program, there)
    names = {one.row: seal(one.name.encode()) for one in checked.good}
    people = [Named(one.nik, names[one.row], one.learner_id) for one in checked.good]
    ids = dict(zip(checked.good, person.keep_many(session, people), strict=True))
    sorted_out = _sort_out(session, wanted, checked.good, ids, there, held)
    faults += sorted_out.faults
    bad += len({fault.row for fault in sorted_out.faults})
    good = len(checked.good) + checked.bad - bad
    if faults and (not wanted.allow_partial or not good):
        raise Refused(sorted(faults, key=lambda one: one.row), bad, len(wanted.rows))
    run = _process(session, wanted, content)
    enrolled, completed, certified = _class(checked, there | held, ids)
    report = CompletionReport(
        program_id=wanted.program.id,
        completion_date=wanted.day,
        content=content,
        enrolled=enrolled,
        completed=completed,
        certified=certified,
        completion_rate=rate(completed, enrolled),
        certification_rate=rate(certified, enrolled),
        reported_before=sorted_out.before,
        refused=[asdict(fault) for fault in sorted(faults, key=lambda one: one.row)],
        allow_partial=wanted.allow_partial,
        is_correction=wanted.is_correction,
        requested_by=wanted.requested_by,
        process_run_id=run.id,
    )
    session.add(report)
    session.flush()
    run.input = {"report_id": str(report.id), "program_code": wanted.program.program_code}
    _write(session, report, sorted_out, names, chunk_size)
    return Taken(report, run, is_new=True)


@dataclass
class _SortedOut:
    """What is to be done with the good participants of a report. before: nothing, with so many of them; back:
    of those, whose correction the register refused, and what it has accepted counts again."""

    new: list[tuple[Participant, UUID, Completion | None]] = field(default_factory=list)
    again: list[tuple[Participant, Completion]] = field(default_factory=list)
    back: list[tuple[Participant, Completion, Completion]] = field(default_factory=list)
    before: int = 0
    faults: list[Fault] = field(default_factory=list)


def _sort_out(
    session: Session,
    wanted: Wanted,
    good: Sequence[Participant],
    ids: dict[Participant, UUID],
    there: dict[UUID, Completion],
    held: dict[UUID, Completion],
) -> _SortedOut:
    found = _SortedOut()
    holders = _holders(session, wanted.program, [one.certificate for one in good])
    places = {row.number: index for index, row in enumerate(wanted.rows)}
    for one in good:
        path = f"participants[{places[one.row]}]"
        before, kept = there.get(ids[one]), held.get(ids[one])
        fingerprint = _fingerprint(one, wanted.day)
        holder = holders.get(one.certificate or "")
        if holder is not None and holder != (wanted.program.id, ids[one]):
            reason = "another completion of this LPK has this number: a certificate is one person's"
            found.faults.append(Fault(f"{path}.certificate_number", one.row, reason))
        elif before is None:
            found.new.append((one, ids[one], None))
        elif kept is not None and kept.fingerprint == fingerprint:  # its correction was refused
            found.back.append((one, before, kept))
            found.before += 1
        elif before.fingerprint == fingerprint and before.state != "rejected":
            found.before += 1
        elif before.state not in ("accepted", "rejected"):
            reason = "this person is being reported with other values just now; wait until that has ended"
            found.faults.append(Fault(path, one.row, reason))
        elif (before.state == "accepted" or kept is not None) and not wanted.is_correction:
            reason = "this person was reported with other values; say that it is a correction if it is one"
            found.faults.append(Fault(path, one.row, reason))
        elif before.fingerprint == fingerprint:
            found.again.append((one, before))
        else:  # a correction, or the register does not have it: then other values correct nothing there
            found.new.append((one, ids[one], before))
    return found


def _write(
    session: Session, report: CompletionReport, found: _SortedOut, names: Mapping[int, bytes], chunk_size: int
) -> None:
    """The participants of a report, in chunks in their order. names: sealed, by row."""
    now = clock.now()
    lpk = session.get_one(Program, report.program_id).lpk_registration_number
    rows: list[dict[str, Any]] = []
    order = sorted([one.row for one, *_ in found.new] + [one.row for one, _ in found.again])
    chunks = {row: index // chunk_size for index, row in enumerate(order)}
    for _, _, before in found.new:
        if before is not None:
            before.superseded_at = now
    for _, refused, _ in found.back:
        refused.superseded_at = now
    session.flush()  # of one person one row counts
    for _, _, kept in found.back:
        kept.superseded_at = None
    for one, row in found.again:
        row.report_id, row.row, row.chunk = report.id, one.row, chunks[one.row]
    completion.apply(session, [row for _, row in found.again], "waiting")
    for one, person_id, before in found.new:
        rows.append(
            {
                "report_id": report.id,
                "row": one.row,
                "chunk": chunks[one.row],
                "program_id": report.program_id,
                "lpk_registration_number": lpk,
                "person_id": person_id,
                "certificate_number": one.certificate,
                "completion_status": one.status,
                "final_score": one.score,
                "completion_date": report.completion_date,
                "name": names[one.row],
                "fingerprint": _fingerprint(one, report.completion_date),
                "supersedes": before.id if before is not None else None,
            }
        )
    if rows:
        session.execute(sa.insert(Completion), rows)
    corrected = {one["person_id"]: one["name"] for one in rows if one["supersedes"] is not None}
    corrected |= {kept.person_id: names[one.row] for one, _, kept in found.back}
    person.rename(session, corrected)


def _again(session: Session, known: CompletionReport) -> Taken:
    """A report that is there: the same once more. What the register refused then is tried again, but for a
    certificate that is somebody else's by now."""
    run = session.get_one(ProcessRun, known.process_run_id)
    if run.state in ("failed", "needs_attention"):
        refused = (
            sa.select(Completion)
            .filter_by(report_id=known.id, state="rejected", superseded_at=None)
            .where(Completion.name.is_not(None))  # not who was erased meanwhile
        )
        again = list(session.scalars(refused))
        program = session.get_one(Program, known.program_id)
        held = _holders(session, program, [one.certificate_number for one in again])
        free = [
            one
            for one in again
            if held.get(one.certificate_number or "") in (None, (program.id, one.person_id))
        ]
        completion.apply(session, free, "waiting")
        process.retry(session, run.id)
    return Taken(known, run, is_new=False)


def _process(session: Session, wanted: Wanted, content: bytes) -> ProcessRun:
    """The process of a new report; while the register is left alone it waits, and holds no worker."""
    names = (wanted.program.program_code, content.hex()[:12], wanted.program.lpk_registration_number)
    run, _ = process.request(session, PROCESS, "/".join(names), {})
    service_gate.wait_while_shut(session, SERVICE, [run])
    return run


def _class(
    checked: Checked, there: dict[UUID, Completion], ids: dict[Participant, UUID]
) -> tuple[int, int, int]:
    """Enrolled, completed and certified of the whole class: this report, and who was reported before it."""
    here = set(ids.values())
    others = [one for id_, one in there.items() if id_ not in here and one.state != "rejected"]
    completed = [one for one in others if one.completion_status == COMPLETED]
    return (
        len(checked.good) + checked.others + len(others),
        sum(one.status == COMPLETED for one in checked.good) + checked.completed + len(completed),
        sum(one.is_certified for one in checked.good)
        + checked.certified
        + sum(one.certificate_number is not None for one in completed),
    )


def _there(session: Session, program: Program) -> dict[UUID, Completion]:
    """Who was reported of this program before, by person."""
    found = session.scalars(sa.select(Completion).filter_by(program_id=program.id, superseded_at=None))
    return {one.person_id: one for one in found}


def _held(session: Session, program: Program, there: Mapping[UUID, Completion]) -> dict[UUID, Completion]:
    """What the register has still of those whose correction it refused, by person."""
    refused = [id_ for id_, one in there.items() if one.state == "rejected" and one.supersedes is not None]
    return completion.held(session, program.id, refused) if refused else {}


def _holders(
    session: Session, program: Program, numbers: Collection[str | None]
) -> dict[str, tuple[UUID, UUID]]:
    """Who has these certificate numbers of an LPK already: program and person."""
    wanted = sa.literal([one for one in numbers if one is not None], ARRAY(sa.Text))
    refused = aliased(Completion)  # a correction, so that what was accepted before it is still there
    is_kept = sa.exists().where(
        refused.program_id == Completion.program_id,
        refused.person_id == Completion.person_id,
        refused.superseded_at.is_(None),
        refused.state == "rejected",
    )
    found = session.execute(
        sa.select(Completion.certificate_number, Completion.program_id, Completion.person_id)
        .where(
            Completion.lpk_registration_number == program.lpk_registration_number,
            Completion.certificate_number == sa.any_(wanted),
            sa.or_(
                sa.and_(Completion.superseded_at.is_(None), Completion.state != "rejected"),
                sa.and_(Completion.state == "accepted", is_kept),
            ),
        )
        .order_by(Completion.superseded_at.nulls_last())  # who has it now comes last and counts
    )
    return {number: (program_id, person_id) for number, program_id, person_id in found if number is not None}


def _content(wanted: Wanted) -> bytes:
    """What makes two reports the same: date, correction or not, and all rows whatever their order."""
    rows = sorted(json.dumps(sorted(_filled(row.values))) for row in wanted.rows)
    said = json.dumps([wanted.day.isoformat(), wanted.is_correction, rows])
    return keyed_hash("completion report", said.encode(), key="persons")


def _filled(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in values.items() if value not in (None, "")]


def _fingerprint(one: Participant, day: date) -> bytes:
    return keyed_hash("completion", one.values(day), key="persons")


def _alone(session: Session, wanted: Wanted) -> None:
    """One report of an LPK is taken on at a time: its certificate numbers are one list."""
    name = f"completions of {wanted.program.lpk_registration_number}"
    session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})

"""Exports: each target of each credential has a row of its own, and is done once.

A target is a place that a credential goes to: `open_badge`, and whatever is added. The row says how far it
is; a worker locks it while it works, and what leaves this house says `sent` before it goes.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from psycopg.types.json import Jsonb
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from records import process
from records.db import Base, among, driver, id_list
from records.process import ProcessRun

PROCESS = "export-credentials"
ExportState = Literal["queued", "sent", "unknown", "waiting", "done", "refused", "needs_attention"]
OPEN: tuple[ExportState, ...] = ("queued", "sent", "unknown", "waiting")
_WAITS: tuple[ExportState, ...] = ("unknown", "waiting")
_TRIED_ANEW: tuple[ExportState, ...] = ("refused", "needs_attention")
_TIME = TIMESTAMP(timezone=True)
_Select = TypeVar("_Select", bound=sa.Select[*tuple[Any, ...]])


class CredentialExport(Base):
    """One target of one credential. links: where the result is, where its target does not tell that by itself
    (`credentials.exports.links`). problem: why it is not further, for people.

    external_id: by which the target knows it. sent: it may have happened; unknown: we asked and do not know.
    """

    __tablename__ = "credential_exports"
    credential_id: Mapped[UUID] = mapped_column(sa.ForeignKey("credentials.id"), primary_key=True)
    target: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    state: Mapped[str] = mapped_column(sa.Text, server_default="queued")
    process_run_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("process_runs.id"))
    links: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")
    problem: Mapped[str | None] = mapped_column(sa.Text)
    external_id: Mapped[str | None] = mapped_column(sa.Text)
    next_attempt_at: Mapped[datetime | None] = mapped_column(_TIME)
    done_at: Mapped[datetime | None] = mapped_column(_TIME)


@dataclass(frozen=True)
class Step:
    """How far one export has come. until: when it is looked at again, where it waits."""

    credential_id: UUID
    state: ExportState
    links: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    until: datetime | None = None
    external_id: str | None = None


def queue(
    session: Session,
    program_code: str,
    credential_ids: Sequence[UUID],
    targets: Sequence[str],
    flow_run_id: UUID | None = None,
) -> ProcessRun | None:
    """Have these credentials exported to targets that they were not exported to yet; None: nothing is new.

    Revoked ones are left out, and for LinkedIn those whose learners have not agreed to have new ones shared.
    The targets are queued under one process run.
    """
    asked = {"ids": id_list(credential_ids), "targets": list(dict.fromkeys(targets))}
    if not session.scalar(_ANYTHING_NEW, asked):
        return None
    key = f"{program_code}/{uuid4().hex[:12]}"
    given = {"targets": asked["targets"], "credentials": len(credential_ids)}
    run, _ = process.request(session, PROCESS, key, given, flow_run_id)
    session.execute(_QUEUE_NEW, {**asked, "run": run.id})
    return run


_WANTED = """FROM credentials c CROSS JOIN unnest(CAST(:targets AS text[])) target
    WHERE c.id = ANY(CAST(:ids AS uuid[])) AND c.state <> 'revoked'"""
_BY_ITSELF = f"""{_WANTED} AND (target.target <> 'linkedin' OR EXISTS (SELECT FROM linkedin_connections l
        WHERE l.learner_id = c.learner_id AND c.created_at >= l.shares_new_since))"""
_ANYTHING_NEW = sa.text(
    f"""SELECT EXISTS (SELECT {_BY_ITSELF} AND NOT EXISTS (
        SELECT FROM credential_exports e WHERE e.credential_id = c.id AND e.target = target.target))"""  # noqa: S608
)
_INSERT = (
    "INSERT INTO credential_exports (credential_id, target, process_run_id) SELECT c.id, target.target, :run"
)
_IN_ORDER = "ORDER BY c.id ON CONFLICT DO NOTHING"  # a fifth less work for the two indexes than at random
_QUEUE = sa.text(f"{_INSERT} {_WANTED} {_IN_ORDER}")
_QUEUE_NEW = sa.text(f"{_INSERT} {_BY_ITSELF} {_IN_ORDER}")


def take_over(session: Session, run_id: UUID, credential_ids: Sequence[UUID], targets: Sequence[str]) -> int:
    """Put what of these is not done under this process run, anew where a person had to look; counts it.

    Those that another process works at the moment, or will, stay with it; with what needed a person it is
    through, though it may wait for others.
    """
    asked = {"ids": id_list(credential_ids), "targets": list(dict.fromkeys(targets)), "run": run_id}
    session.execute(_QUEUE, asked)
    taken: list[UUID] = list(session.scalars(_TAKE_OVER, asked))
    return len(taken)


_TAKE_OVER = sa.text(
    """UPDATE credential_exports e SET process_run_id = :run, problem = NULL,
        state = CASE WHEN e.state IN ('refused', 'needs_attention') THEN 'queued' ELSE e.state END
    WHERE e.credential_id = ANY(CAST(:ids AS uuid[])) AND e.target = ANY(:targets) AND e.state <> 'done'
        AND (e.process_run_id = :run OR e.state IN ('refused', 'needs_attention')
            OR NOT EXISTS (SELECT FROM process_runs p
                WHERE p.id = e.process_run_id AND p.state IN ('queued', 'running', 'waiting')))
    RETURNING e.credential_id"""
)


def again(session: Session, run_id: UUID) -> None:
    """A person had this run queued again: what was refused or needs somebody is tried anew, and nothing waits
    any longer."""
    session.execute(
        sa.update(CredentialExport)
        .where(CredentialExport.process_run_id == run_id, CredentialExport.state.in_(_TRIED_ANEW))
        .values(state="queued", problem=None, next_attempt_at=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        sa.update(CredentialExport)
        .where(CredentialExport.process_run_id == run_id, CredentialExport.state.in_(_WAITS))
        .values(next_attempt_at=sa.func.now())
        .execution_options(synchronize_session=False)
    )


def is_put_off(session: Session, credential_ids: Sequence[UUID], target: str) -> bool:
    """The target takes nothing for now: of this batch it took nothing, and some wait until a time to come.
    One that waits alone (a learner's own daily limit) puts off nobody else."""
    of_batch = sa.and_(CredentialExport.credential_id.in_(credential_ids), CredentialExport.target == target)
    waits = sa.and_(CredentialExport.state == "waiting", CredentialExport.next_attempt_at > sa.func.now())
    ended = CredentialExport.state.not_in(OPEN)
    both = sa.select(sa.exists().where(of_batch, waits), sa.exists().where(of_batch, ended))
    has_waiting, has_ended = session.execute(both).one()
    return bool(has_waiting and not has_ended)


def to_work(
    session: Session, run_ids: Collection[UUID], target: str, most: int, after: UUID | None = None
) -> list[UUID]:
    """Credentials whose export to the target is to be worked by these runs now, in order of their ids."""
    wanted = sa.select(CredentialExport.credential_id).where(
        CredentialExport.process_run_id.in_(run_ids),
        CredentialExport.target == target,
        _is_due(),
    )
    if after is not None:
        wanted = wanted.where(CredentialExport.credential_id > after)
    return list(session.scalars(wanted.order_by(CredentialExport.credential_id).limit(most)))


def hold(session: Session, target: str, credential_ids: Sequence[UUID]) -> list[UUID]:
    """Those of these credentials whose export is still to be worked, locked for the caller, in order."""
    wanted = sa.select(CredentialExport.credential_id).order_by(CredentialExport.credential_id)
    return list(session.scalars(held(wanted, target, credential_ids)))


def held(wanted: _Select, target: str, credential_ids: Sequence[UUID]) -> _Select:
    """The same within a larger statement, which reads exports and what it wants beside them."""
    return wanted.where(
        CredentialExport.credential_id == among(credential_ids),
        CredentialExport.target == target,
        _is_due(),
    ).with_for_update(of=CredentialExport)


def _is_due() -> sa.ColumnElement[bool]:
    at = sa.func.coalesce(CredentialExport.next_attempt_at, sa.func.now())
    return sa.or_(
        CredentialExport.state.in_(("queued", "sent")),
        sa.and_(CredentialExport.state.in_(_WAITS), at <= sa.func.now()),
    )


_DONE = """UPDATE credential_exports
    SET state = 'done', problem = NULL, next_attempt_at = NULL, done_at = now()
    WHERE credential_id = ANY(%s::uuid[]) AND target = %s AND state <> 'done'"""
_APPLY = """UPDATE credential_exports e SET state = step.state, links = e.links || step.links,
        problem = step.problem, next_attempt_at = step.until,
        external_id = coalesce(step.external_id, e.external_id),
        done_at = CASE WHEN step.state = 'done' THEN now() END
    FROM unnest(%s::uuid[], %s::text[], %s::jsonb[], %s::text[], %s::timestamptz[], %s::text[])
        step (id, state, links, problem, until, external_id)
    WHERE e.credential_id = step.id AND e.target = %s AND e.state <> 'done'"""


def apply(session: Session, target: str, steps: Iterable[Step]) -> None:
    """The one door through which exports change: note how far they have come. What is done stays done."""
    plain: list[UUID] = []
    rows = []
    for one in steps:
        if one.state == "done" and not one.links and one.external_id is None:
            plain.append(one.credential_id)
        else:
            links = Jsonb(one.links)
            rows.append((one.credential_id, one.state, links, one.problem, one.until, one.external_id))
    if plain:
        driver(session).execute(_DONE, [id_list(plain), target])
    if rows:
        driver(session).execute(_APPLY, [*map(list, zip(*rows, strict=True)), target])


def of_credential(session: Session, credential_id: UUID) -> list[CredentialExport]:
    """A credential's exports, by target."""
    wanted = sa.select(CredentialExport).where(CredentialExport.credential_id == credential_id)
    return list(session.scalars(wanted.order_by(CredentialExport.target)))


_CREDENTIALS = sa.table("credentials", sa.column("id"), sa.column("program_code"))


def _of(run: ProcessRun) -> sa.ColumnElement[bool]:
    """The exports that a run was asked for, whoever works them or did."""
    own = CredentialExport.process_run_id == run.id
    given = run.input
    if given.get("credential_ids"):
        chosen = CredentialExport.credential_id.in_([UUID(one) for one in given["credential_ids"]])
    elif given.get("program_code"):
        of_program = sa.select(_CREDENTIALS.c.id).where(_CREDENTIALS.c.program_code == given["program_code"])
        chosen = CredentialExport.credential_id.in_(of_program)
    else:
        return own
    return sa.or_(own, sa.and_(chosen, CredentialExport.target.in_(given["targets"])))


def counted(session: Session, run: ProcessRun) -> dict[str, dict[str, int]]:
    """How many of a run's exports are in which state, by target."""
    found: dict[str, dict[str, int]] = {}
    rows = session.execute(
        sa.select(CredentialExport.target, CredentialExport.state, sa.func.count())
        .where(_of(run))
        .group_by(CredentialExport.target, CredentialExport.state)
    )
    for target, state, number in rows:
        found.setdefault(target, {})[state] = number
    return found


def some(session: Session, run: ProcessRun, limit: int) -> list[CredentialExport]:
    """The first exports of a run."""
    wanted = sa.select(CredentialExport).where(_of(run))
    order = (CredentialExport.credential_id, CredentialExport.target)
    return list(session.scalars(wanted.order_by(*order).limit(limit)))


def next_attempt(session: Session, run_id: UUID) -> datetime | None:
    """When the first export of a run that waits, or of which we do not know, is looked at again."""
    return session.scalar(
        sa.select(sa.func.min(CredentialExport.next_attempt_at)).where(
            CredentialExport.process_run_id == run_id, CredentialExport.state.in_(_WAITS)
        )
    )

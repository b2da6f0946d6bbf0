"""Findings of the nightly look for programs: listed, read, explained; and the look that was taken last."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from sqlalchemy.orm import Session

from api import cursors
from api.access import REFUSALS, Caller, allowed
from api.completion_models import Code, Said
from api.cursors import Cursor
from api.idempotency import IdempotencyKey, is_repeated
from api.problem_kinds import BODY, OURS, described
from api.problems import Problem, not_found
from common.errors import BadInput
from records import approval, entitlement
from records.db import unit_of_work
from records.entitlement import Filter, Finding, FindingClass, FindingState, NotOpen

router = APIRouter(prefix="/api/v1/entitlements", tags=["learners"])

Reader = Annotated[Caller, Depends(allowed("exceptions:read"))]
Writer = Annotated[Caller, Depends(allowed("exceptions:write"))]
FindingId = Annotated[
    UUID, Path(description="From the list", examples=["019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c"])
]
Learner = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00]*$")]
_SHOWN: JsonDict = {
    "finding_id": "019ab1c2-9a10-7c3e-9d55-0a4b6f1e2d3c",
    "learner_id": "learner-4711",
    "program_code": "LPK-2024-001",
    "class": "paid_not_enrolled",
    "state": "open",
    "since": "2024-01-12T02:00:00Z",
    "opened_at": "2024-01-13T20:00:03Z",
    "closed_at": None,
    "facts": {"payments": 1, "payments_held": 1, "completions": 0, "credentials": 0},
}
_EVENT: JsonDict = {
    "at": "2024-01-13T20:00:03Z",
    "from_state": None,
    "to_state": "open",
    "actor": "reconcile-entitlements",
    "reason": "Found.",
}
_COUNTS: JsonDict = {
    "found": 4, "opened": 1, "still_open": 2, "explained": 1, "resolved": 1, "awaited": 3,
}  # fmt: skip
_NONE: JsonDict = dict.fromkeys(_COUNTS, 0)
_RUN: JsonDict = {
    "process_id": "019ab1c2-9a20-7c3e-9d55-0a4b6f1e2d3c",
    "looked_at": "2024-01-13T20:00:03Z",
    "pairs": 10_000,
    "in_order": 9_993,
    "awaited": 3,
    "differing": 4,
    "classes": {"paid_not_enrolled": _COUNTS, "enrolled_not_paid": _NONE},
    "left_out": {"payments": 12, "completions": 0},
    "rules": {
        "enrol_within_hours": 24, "pay_within_hours": 72, "report_within_hours": 168,
        "withdraw_within_hours": 24, "since": None,
    },
    "proof": {"pairs": [10_000, 10_000]},
    "balanced": True,
}  # fmt: skip


class FindingShown(BaseModel):
    """One difference of one learner in one program."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SHOWN]})

    finding_id: UUID = Field(description="Names it; the same over the nights")
    learner_id: str | None = Field(description="The platform's id; null once the learner was erased")
    program_code: str = Field(description="The program")
    class_: FindingClass = Field(alias="class", description="What does not fit")
    state: FindingState = Field(description="`open`, `explained` by a person, or `resolved` by itself")
    since: datetime = Field(description="From when it counts, before any grace")
    opened_at: datetime = Field(description="When it was found, or found again")
    closed_at: datetime | None = Field(description="When it was explained or resolved")
    facts: dict[str, Any] = Field(description="What it was seen in last")


class FindingEvent(BaseModel):
    """One change of a finding's state."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EVENT]})

    at: datetime = Field(description="When")
    from_state: FindingState | None = Field(description="Before; null where it was new")
    to_state: FindingState = Field(description="After")
    actor: str = Field(description="Who: the look, or a person", examples=["client:finance"])
    reason: str = Field(description="Why")


class FindingWithHistory(FindingShown):
    """A finding and everything that happened to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_SHOWN, "events": [_EVENT]}]})

    events: list[FindingEvent] = Field(description="Oldest first")


class Findings(BaseModel):
    """A page of findings."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [_SHOWN], "count": 1, "next_cursor": None}]}
    )

    items: list[FindingShown] = Field(description="In the order in which they were first found")
    count: int = Field(description="How many fit, on all pages")
    next_cursor: str | None = Field(description="Give it to get the next page; null on the last")


class FindingExplanation(BaseModel):
    """Why a difference is right as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "Pays by invoice, FIN-118"}]}
    )

    reason: Said = Field(description="In words, nothing personal", examples=["Pays by invoice, FIN-118"])


class EntitlementRunShown(BaseModel):
    """One look at every pair of learner and program."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RUN]})

    process_id: UUID = Field(description="Its process")
    looked_at: datetime = Field(description="As of when")
    pairs: int = Field(description="Pairs of learner and program; each was looked at once")
    in_order: int = Field(description="Of these, where nothing is missing")
    awaited: int = Field(description="Of these, where something is missing within its grace")
    differing: int = Field(description="Of these, with one finding or more")
    classes: dict[str, dict[str, int]] = Field(description="Counts by class")
    left_out: dict[str, int] = Field(description="Payments and completions that name no learner or program")
    rules: dict[str, int | str | None] = Field(description="The graces that held, in hours")
    proof: dict[str, list[int]] = Field(description="By figure, what was counted and what was looked at")
    balanced: bool = Field(description="Whether both are the same everywhere")


@router.get(
    "/findings",
    summary="Findings of the nightly look",
    response_description="A page of findings",
    responses=described("invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_findings(
    caller: Reader,
    class_: Annotated[FindingClass | None, Query(alias="class", description="Only this class")] = None,
    state: Annotated[FindingState | Literal["all"], Query(description="Only those in this state")] = "open",
    learner_id: Annotated[
        Learner | None, Query(description="Only of this learner", examples=["learner-4711"])
    ] = None,
    program_code: Annotated[
        Code | None, Query(description="Only of this program", examples=["LPK-2024-001"])
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Findings:
    """Findings of all learners, those that were found first at the top. They belong to the business,
    whichever client's payment they are about."""
    which = Filter(class_, None if state == "all" else state, learner_id, program_code)
    after = cursors.place(cursor) if cursor is not None else None
    with unit_of_work() as session:
        found = entitlement.page(session, which, after=after, limit=limit + 1)
        count = entitlement.count(session, which)
    items = [FindingShown.model_validate(entitlement.resource(one)) for one in found[:limit]]
    more = cursors.cursor(found[limit - 1].id) if len(found) > limit else None
    return Findings(items=items, count=count, next_cursor=more)


@router.get(
    "/findings/{finding_id}",
    summary="A finding",
    response_description="The finding and its history",
    responses=described("not-found", "invalid-request", *OURS, *REFUSALS),
)
def read_finding(finding_id: FindingId, caller: Reader) -> FindingWithHistory:
    """One difference over the nights."""
    with unit_of_work() as session:
        return _whole(session, finding_id)


@router.post(
    "/findings/{finding_id}/explain",
    summary="Say why a difference is right",
    response_description="The finding and its history",
    responses=described("not-found", "finding-closed", *BODY, "idempotency-key-reused", *OURS, *REFUSALS),
)
def explain_finding(
    finding_id: FindingId, why: FindingExplanation, caller: Writer, idempotency_key: IdempotencyKey = None
) -> FindingWithHistory:
    """It stays explained for as long as the difference is there."""
    with unit_of_work() as session:
        if is_repeated(session, caller, idempotency_key, f"explain {finding_id}\n{why.reason}"):
            return _whole(session, finding_id)
        try:
            by = approval.actor("client", caller.name)
            entitlement.explain(session, finding_id, by=by, reason=why.reason)
        except NotOpen as error:
            if error.is_unknown:
                raise not_found(f"{error}.") from None
            raise Problem("finding-closed", f"{error}.") from None
        except BadInput as error:
            problem = Problem("invalid-request", f"{error}.")
            problem.errors = [{"where": "body.reason", "reason": f"{error}."}]
            raise problem from None
        return _whole(session, finding_id)


@router.get(
    "/newest",
    summary="The look that was taken last",
    response_description="Its counts and its proof",
    responses=described("not-found", *OURS, *REFUSALS),
)
def newest_entitlement_run(caller: Reader) -> EntitlementRunShown:
    """How many pairs of learner and program were looked at, and what was found."""
    with unit_of_work() as session:
        run = entitlement.newest_run(session)
        if run is None:
            raise not_found("No look was taken yet; the first is at about 03:00 WIB.")
        found = entitlement.run_as_json(run) | {"process_id": run.process_run_id}
        return EntitlementRunShown.model_validate(found)


def _whole(session: Session, finding_id: UUID) -> FindingWithHistory:
    found = session.get(Finding, finding_id)
    if found is None:
        raise not_found("There is no such finding.")
    names = FindingEvent.model_fields
    events = [{name: getattr(one, name) for name in names} for one in entitlement.history(session, found.id)]
    return FindingWithHistory.model_validate(entitlement.resource(found) | {"events": events})

"""Approvals for programs: what waits for a second person, and the word of one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from api import cursors
from api.access import REFUSALS, Caller, allowed
from api.cursors import Cursor
from api.idempotency import IdempotencyKey, is_repeated
from api.problem_kinds import BODY, OURS, described
from api.problems import Problem, not_found
from api.refund_models import Approvals, ApprovalState, ApprovalWord, RefusalWord, ShownApproval
from checkout import approvals
from common import clock, money
from records import approval
from records.approval import Approval
from records.db import unit_of_work
from records.exceptions import NotOpen, NotPossible

router = APIRouter(prefix="/api/v1/approvals", tags=["approvals"])

Reader = Annotated[Caller, Depends(allowed("approvals:read"))]
Writer = Annotated[Caller, Depends(allowed("approvals:write"))]
ApprovalId = Annotated[
    UUID, Path(description="From the list", examples=["019ab1c2-9b10-7c3e-9d55-0a4b6f1e2d3c"])
]
_PROBLEMS: tuple[tuple[type[approval.NotDecided], str], ...] = (
    (approval.AlreadyDecided, "already-decided"),
    (approval.Expired, "approval-expired"),
    (approval.OwnRequest, "own-request"),
)
_DECISION = described(
    *BODY,
    "not-found",
    "already-decided",
    "approval-expired",
    "own-request",
    "not-open",
    "not-possible",
    "idempotency-key-reused",
    *OURS,
    *REFUSALS,
)


@router.get(
    "",
    summary="Approvals",
    response_description="A page of approvals",
    responses=described("invalid-request", "invalid-cursor", *OURS, *REFUSALS),
)
def list_approvals(
    _caller: Reader,
    state: Annotated[ApprovalState | None, Query(description="Only those in this state")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="How many on a page")] = 50,
    cursor: Cursor = None,
) -> Approvals:
    """What was asked of a second person, newest first."""
    before = cursors.place(cursor) if cursor is not None else None
    with unit_of_work() as session:
        found = approval.search(session, state=state, before=before, limit=limit + 1)
    return Approvals(
        items=[_shown(one) for one in found[:limit]],
        next_cursor=cursors.cursor(found[limit - 1].id) if len(found) > limit else None,
    )


@router.get(
    "/{approval_id:uuid}",
    summary="One approval",
    response_description="The approval",
    responses=described("not-found", *OURS, *REFUSALS),
)
def read_approval(approval_id: ApprovalId, _caller: Reader) -> ShownApproval:
    """What is asked, by whom, until when, and what was decided."""
    with unit_of_work() as session:
        found = session.get(Approval, approval_id)
    if found is None:
        raise not_found("There is no such approval.")
    return _shown(found)


@router.post(
    "/{approval_id:uuid}/approve",
    summary="Approve",
    response_description="The approval as it is now; what it allows has begun",
    responses=_DECISION,
)
def approve(
    approval_id: ApprovalId, word: ApprovalWord, caller: Writer, idempotency_key: IdempotencyKey = None
) -> ShownApproval:
    """Say yes, as the client that you are. Who asked cannot approve."""
    return _decide(approval_id, caller, word.reason, idempotency_key, approve=True)


@router.post(
    "/{approval_id:uuid}/refuse",
    summary="Refuse",
    response_description="The approval as it is now",
    responses=_DECISION,
)
def refuse(
    approval_id: ApprovalId, word: RefusalWord, caller: Writer, idempotency_key: IdempotencyKey = None
) -> ShownApproval:
    """Say no, with a reason. Who asked may take it back in this way."""
    return _decide(approval_id, caller, word.reason, idempotency_key, approve=False)


def _decide(
    approval_id: UUID, caller: Caller, reason: str, key: str | None, *, approve: bool
) -> ShownApproval:
    verb = "approve" if approve else "refuse"
    with unit_of_work() as session:
        if is_repeated(session, caller, key, f"{verb} {approval_id}\n{reason}"):
            return _shown(session.get_one(Approval, approval_id))
        try:
            by = approval.actor("client", caller.name)
            word = approvals.decide(session, approval_id, by=by, approve=approve, reason=reason)
        except approval.Unknown:
            raise not_found("There is no such approval.") from None
        except approval.NotDecided as refused:
            slug = next(slug for kind, slug in _PROBLEMS if isinstance(refused, kind))
            raise Problem(slug, f"{refused}.") from None
        except (NotOpen, NotPossible) as undone:
            slug = "not-open" if isinstance(undone, NotOpen) else "not-possible"
            raise Problem(slug, f"{undone}.") from None
        return _shown(word)


def _shown(one: Approval) -> ShownApproval:
    names = ("subject", "subject_id", "summary", "currency", "requested_by", "requested_at", "expires_at")
    more = ("decided_by", "decided_at", "reason")
    return ShownApproval.model_validate(
        {name: getattr(one, name) for name in names + more}
        | {
            "approval_id": one.id,
            "amount": money.plain(one.amount_minor),
            "state": "expired" if one.is_over(clock.now()) else one.state,
        }
    )

"""Approvals: a second person's word, given once, by somebody who is named and did not ask."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa

from common import clock
from records import approval
from records.approval import (
    AlreadyDecided,
    Approval,
    Expired,
    NobodyNamed,
    NotDecided,
    OwnRequest,
    Unknown,
)
from records.db import connection, unit_of_work

pytestmark = pytest.mark.usefixtures("database")


def requested(by: str = "client:platform", subject_id: str = "r-1") -> UUID:
    with unit_of_work() as session:
        return approval.request(
            session,
            "refund",
            subject_id,
            requested_by=by,
            summary="Give back Rp 1,500,000 of T-1",
            amount_minor=150_000_000,
            currency="IDR",
        ).id


def decided(which: UUID, by: str, *, approve: bool = True, reason: str = "seen") -> Approval:
    with unit_of_work() as session:
        return approval.decide(session, which, by=by, approve=approve, reason=reason)


def aged(which: UUID, hours: int) -> None:
    with unit_of_work() as session:
        session.get_one(Approval, which).expires_at -= timedelta(hours=hours)


def test_another_person_approves_and_the_row_says_who_when_and_why() -> None:
    which = requested()
    found = decided(which, "operator:Sri Wahyuni", reason="  course was cancelled ")
    assert (found.state, found.decided_by, found.reason) == (
        "approved",
        "operator:Sri Wahyuni",
        "course was cancelled",
    )
    assert found.decided_at is not None


@pytest.mark.parametrize(
    "by",
    [
        "client:platform",
        "client:Platform",
        "client:  PLATFORM ",
        "client:plat form",
        "operator:platform",
        "client:ｐｌａｔｆｏｒｍ",
        "client:platform\t",
    ],
)
def test_who_asked_may_not_approve_however_the_name_is_written(by: str) -> None:
    which = requested()
    with pytest.raises(OwnRequest):
        decided(which, by)
    with unit_of_work() as session:
        assert session.get_one(Approval, which).state == "open"


def test_the_database_holds_that_rule_by_itself() -> None:
    which = requested()
    with pytest.raises(psycopg.errors.CheckViolation, match="approval_by_another_person"), connection() as db:
        db.execute(
            "UPDATE approvals SET state = 'approved', decided_by = 'operator:Plat Form', decided_at = now() "
            "WHERE id = %s",
            [which],
        )


def test_who_asked_may_take_the_request_back() -> None:
    assert decided(requested(), "client:platform", approve=False).state == "refused"


@pytest.mark.parametrize(
    "by", ["", "operator:", "operator:   ", "client", "sri", "admin:sri", "operator:ѕri", "operator:a\x00b"]
)
def test_nobody_and_what_is_no_name_cannot_decide(by: str) -> None:
    which = requested()
    with pytest.raises(NobodyNamed, match="Nobody is named"):
        decided(which, by)


def test_a_decision_stands() -> None:
    which = requested()
    decided(which, "operator:sri", approve=False)
    with pytest.raises(AlreadyDecided, match="refused already, by operator:sri"):
        decided(which, "operator:budi")
    for statement in ("UPDATE approvals SET state = 'open'", "DELETE FROM approvals"):
        with pytest.raises(psycopg.errors.RestrictViolation), connection() as db:
            db.execute(statement.encode())


def test_of_two_at_once_one_decides() -> None:
    which, gate = requested(), Barrier(2)

    def decide(by: str) -> str:
        gate.wait()
        try:
            return decided(which, by).state
        except AlreadyDecided:
            return "late"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(decide, ["operator:sri", "operator:budi"])) == ["approved", "late"]


def test_after_72_hours_nobody_can_approve_and_it_can_be_asked_for_again() -> None:
    which = requested()
    with unit_of_work() as session:
        found = session.get_one(Approval, which)
        assert found.expires_at - found.requested_at == timedelta(hours=72)
    aged(which, 71)
    assert requested() == which  # still the same question
    aged(which, 1)
    with pytest.raises(Expired, match="ask for it again"):
        decided(which, "operator:sri")
    with unit_of_work() as session:
        assert approval.search(session) == []
        assert [one.id for one in approval.search(session, state="expired")] == [which]
    again = requested()
    assert again != which
    assert decided(again, "operator:sri").state == "approved"
    with unit_of_work() as session:
        assert [one.state for one in approval.of_subject(session, "refund", "r-1")] == ["expired", "approved"]


def test_a_refused_one_can_be_asked_for_again() -> None:
    which = requested()
    decided(which, "operator:sri", approve=False, reason="wrong amount")
    assert requested() != which


def test_there_is_one_open_question_for_each_subject() -> None:
    which = requested()
    assert requested() == which
    assert requested(subject_id="r-2") != which
    with pytest.raises(psycopg.errors.UniqueViolation, match="approvals_one_open"), connection() as db:
        db.execute(
            """INSERT INTO approvals (subject, subject_id, summary, amount_minor, currency, requested_by,
                expires_at) VALUES ('refund', 'r-1', 's', 1, 'IDR', 'client:a', now())"""
        )


def test_an_unknown_approval_is_said_to_be_unknown() -> None:
    with pytest.raises(Unknown, match="no such approval"):
        decided(uuid4(), "operator:sri")


@pytest.mark.parametrize("refusal", [Unknown, AlreadyDecided, Expired, OwnRequest, NobodyNamed])
def test_every_refusal_is_of_one_family(refusal: Callable[..., Exception]) -> None:
    assert isinstance(refusal("x"), NotDecided)


def test_the_list_shows_what_waits_newest_first_in_pages() -> None:
    made = [requested(subject_id=f"r-{n}") for n in range(5)]
    decided(made[2], "operator:sri")
    with unit_of_work() as session:
        first = approval.search(session, limit=2)
        rest = approval.search(session, before=first[-1].id)
        assert [one.id for one in [*first, *rest]] == [made[4], made[3], made[1], made[0]]
        assert approval.search(session, subject="exception") == []
        assert session.scalar(sa.select(sa.func.max(Approval.requested_at))) <= clock.now()

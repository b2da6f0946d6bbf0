"""People end exceptions, and the next night's proof takes it into account: over the real reconciliation."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa
from oracle import CLASSES, Item, Line, fee
from world import DAY, at, counts, load_ledger, run_day

from common import clock
from records import approval, exception_work, exceptions, payment
from records.approval import Approval, OwnRequest
from records.db import unit_of_work
from records.exception_proposals import Proposal, proposals
from records.exception_requests import AwaitsApproval, awaited
from records.exception_work import Overtaken
from records.exceptions import NotOpen, NotPossible, ReconciliationException
from records.payment import Payment

pytestmark = pytest.mark.usefixtures("database")
NEXT = DAY + timedelta(days=1)
ANI, BUDI = "operator:ani", "operator:budi"
ENDED = [name for name in CLASSES if name != "matched"]


def item(reference: str, rupiah: int = 100_000, *, hour: float = 9, day: date = DAY, **changes: Any) -> Item:
    paid_at = at(day, int(hour * 3600))
    told = {"status": "paid", "paid_at": paid_at} | changes
    if told["status"] == "pending":
        told["paid_at"] = None
    return Item(
        reference, f"G-{reference}", Decimal(rupiah), "IDR", told["status"],
        paid_at - timedelta(minutes=3), told["paid_at"],
    )  # fmt: skip


def line(reference: str, rupiah: int | str = 100_000, **changes: Any) -> Line:
    told = {
        "gateway_reference": f"G-{reference}", "fee": fee(Decimal(rupiah), Decimal(2)), "currency": "IDR",
        "status": "paid", "occurred_at": at(DAY, 9 * 3600), "malformed": None,
    } | changes  # fmt: skip
    return Line(reference, amount=Decimal(rupiah), **told)


def every_class(folder: Path) -> list[Line]:
    """One exception of each class; gives back the report."""
    load_ledger(
        folder,
        [
            item("R-FINE"), item("R-TWICE", 75_000), item("R-CURRENCY", 150_000), item("R-LESS", 350_000),
            item("R-UNPAID", 50_000, status="pending"), item("R-FEE", 200_000),
            item("R-LATE", 99_000, hour=23.75), item("R-ABSENT", 80_000),
        ],
    )  # fmt: skip
    report = [
        line("R-FINE"), line("R-TWICE", 75_000), line("R-TWICE", 75_000, gateway_reference="G-OTHER"),
        line("R-STRANGER", 45_000), line("R-CURRENCY", 150_000, currency="USD"), line("R-LESS", 345_000),
        line("R-UNPAID", 50_000), line("R-FEE", 200_000, fee=Decimal("4100.50")),
        line("R-BROKEN", malformed="1e5"),
    ]  # fmt: skip
    run_day(folder, [report])
    return report


def of_class(name: str, day: date = DAY) -> ReconciliationException:
    with unit_of_work() as session:
        (found,) = exceptions.search(session, class_=name, business_date=day, state=None)
        return found


def all_states() -> dict[tuple[str, str | None, date], str]:
    with unit_of_work() as session:
        every = exceptions.search(session, state=None, limit=1000)
        return {(one.class_, one.reference, one.business_date): one.state for one in every}


def ended(number: int, action: str, **more: Any) -> exception_work.Outcome:
    with unit_of_work() as session:
        return exception_work.resolve(session, number, action, **{"by": ANI, "reason": "FIN-118"} | more)


def decide(asked: Approval | None, *, by: str = BUDI, approve: bool = True) -> exception_work.Decided:
    assert asked is not None
    with unit_of_work() as session:
        exception_work.hold(session, asked.subject_id)
        said = approval.decide(session, asked.id, by=by, approve=approve, reason="seen")
        return exception_work.decided(session, said)


def steps(number: int) -> list[tuple[str | None, str, str]]:
    with unit_of_work() as session:
        return [(one.from_state, one.to_state, one.actor) for one in exceptions.history(session, number)]


def proposed(number: int) -> list[Proposal]:
    with unit_of_work() as session:
        return proposals(session, session.get_one(ReconciliationException, number))


def the_payment(reference: str) -> Payment:
    with unit_of_work() as session:
        return session.scalars(sa.select(Payment).filter_by(reference=reference)).one()


def count(statement: UUID, *names: str) -> dict[str, int]:
    return {name: rows for name, (rows, _, _) in counts(statement).items() if rows or name in names}


@pytest.mark.parametrize("name", ENDED)
def test_a_person_explains_any_class_and_a_new_version_of_the_day_leaves_it_so(
    tmp_path: Path, name: str
) -> None:
    report = every_class(tmp_path)
    found = of_class(name)
    assert found.state == "open"
    assert ended(found.id, "explain").state == "explained"
    run_day(tmp_path, [report])
    again = of_class(name)
    assert (again.id, again.state) == (found.id, "explained")
    assert steps(found.id) == [(None, "open", "reconcile-payments"), ("open", "explained", ANI)]
    with pytest.raises(NotOpen, match="is explained already"):
        ended(found.id, "explain")


@pytest.mark.parametrize("name", [name for name in ENDED if name not in ("timing", "malformed_line")])
def test_two_people_write_off_any_class_that_risks_money_and_the_next_nights_leave_it_so(
    tmp_path: Path, name: str
) -> None:
    report = every_class(tmp_path)
    found = of_class(name)
    outcome = ended(found.id, "write_off")
    assert (outcome.state, of_class(name).state) == ("open", "open")
    assert outcome.approval is not None
    assert (outcome.approval.amount_minor, outcome.approval.currency) == (found.risk_minor, "IDR")
    with pytest.raises(OwnRequest):
        decide(outcome.approval, by=ANI)
    with pytest.raises(AwaitsApproval, match="operator:ani asked"):
        ended(found.id, "write_off", by=BUDI)
    assert decide(outcome.approval).ended == [found.id]
    run_day(tmp_path, [report])
    balanced = run_day(tmp_path, [[]], day=NEXT)
    assert count(balanced) == {"missing_at_gateway": 1}  # the awaited one of the day before, nothing else
    assert of_class(name).state == "written_off"
    assert steps(found.id) == [
        (None, "open", "reconcile-payments"),
        ("open", "open", ANI),
        ("open", "written_off", BUDI),
    ]
    with unit_of_work() as session:
        assert exceptions.history(session, found.id)[-1].reason == "FIN-118 (asked for by operator:ani)"


def test_what_is_only_awaited_or_risks_nothing_is_not_written_off(tmp_path: Path) -> None:
    every_class(tmp_path)
    for name, why in (("timing", "awaited with the next report"), ("malformed_line", "no money at risk")):
        with pytest.raises(NotPossible, match=why):
            ended(of_class(name).id, "write_off")


def test_a_refused_request_leaves_it_open_and_can_be_entered_again(tmp_path: Path) -> None:
    every_class(tmp_path)
    number = of_class("amount_mismatch").id
    done = decide(ended(number, "write_off").approval, approve=False)
    assert done.ended == []
    assert of_class("amount_mismatch").state == "open"
    decide(ended(number, "write_off", by=BUDI).approval, by=ANI)
    assert of_class("amount_mismatch").state == "written_off"
    assert [to for _, to, _ in steps(number)] == ["open", "open", "open", "open", "written_off"]


def test_a_request_that_expired_can_be_entered_again(tmp_path: Path) -> None:
    every_class(tmp_path)
    number = of_class("amount_mismatch").id
    first = ended(number, "write_off").approval
    assert first is not None
    with unit_of_work() as session:
        session.get_one(Approval, first.id).expires_at = clock.now()
    second = ended(number, "write_off").approval
    with unit_of_work() as session:
        assert second is not None
        assert awaited(session, [number])[number].approval_id == second.id
    with pytest.raises(approval.Expired):
        decide(first)
    assert decide(second).ended == [number]


def test_amounts_that_changed_since_it_was_asked_are_not_written_off(tmp_path: Path) -> None:
    report = every_class(tmp_path)
    asked = ended(of_class("amount_mismatch").id, "write_off").approval
    changed = [line("R-LESS", 1_000) if one.reference == "R-LESS" else one for one in report]
    run_day(tmp_path, [changed])
    with pytest.raises(Overtaken, match="has other amounts than when it was asked: refuse this one"):
        decide(asked)
    assert of_class("amount_mismatch").state == "open"
    with unit_of_work() as session:
        assert asked is not None
        assert session.get_one(Approval, asked.id).state == "open"  # the decision was not taken either


def test_a_written_off_difference_that_has_grown_is_open_again(tmp_path: Path) -> None:
    report = every_class(tmp_path)
    decide(ended(of_class("amount_mismatch").id, "write_off").approval)
    run_day(tmp_path, [[line("R-LESS", 1_000) if one.reference == "R-LESS" else one for one in report]])
    assert of_class("amount_mismatch").state == "open"


@pytest.mark.parametrize("ending", ["explain", "write_off"])
def test_a_fee_that_has_grown_since_is_open_again(tmp_path: Path, ending: str) -> None:
    report = every_class(tmp_path)
    outcome = ended(of_class("fee_mismatch").id, ending)
    if outcome.approval is not None:
        decide(outcome.approval)
    run_day(tmp_path, [report])
    assert of_class("fee_mismatch").state == exception_work.ACTIONS[ending]
    run_day(tmp_path, [[line("R-FEE", 200_000, fee=Decimal(90_000))]])
    assert of_class("fee_mismatch").state == "open"


def test_a_fee_that_has_grown_since_it_was_asked_is_not_written_off(tmp_path: Path) -> None:
    every_class(tmp_path)
    asked = ended(of_class("fee_mismatch").id, "write_off").approval
    run_day(tmp_path, [[line("R-FEE", 200_000, fee=Decimal(90_000))]])
    with pytest.raises(Overtaken, match="has other amounts"):
        decide(asked)


def test_what_ended_in_between_cannot_be_written_off_any_more(tmp_path: Path) -> None:
    every_class(tmp_path)
    number = of_class("missing_at_gateway").id
    asked = ended(number, "write_off").approval
    late = line("R-ABSENT", 80_000)
    run_day(tmp_path, [[late]], day=NEXT)
    with pytest.raises(Overtaken, match="is settled already: refuse this one"):
        decide(asked)
    assert decide(asked, approve=False).left == []


# Taken over


def test_a_line_that_is_taken_over_is_a_payment_matched_by_every_later_run(tmp_path: Path) -> None:
    report = every_class(tmp_path)
    found = of_class("missing_in_ledger")
    outcome = ended(found.id, "adopt")
    made = the_payment("R-STRANGER")
    assert (outcome.state, outcome.payment_id) == ("healed", made.id)
    assert (made.status, made.amount_minor, made.gateway_reference) == ("paid", 4_500_000, "G-R-STRANGER")
    with unit_of_work() as session:
        (told,) = payment.history(session, made.id)
    assert (told.cause, told.source, told.to_status) == ("adoption", f"exception {found.id}", "paid")
    later = count(run_day(tmp_path, [[line("R-STRANGER", 45_000)]], day=NEXT))
    assert later == {"duplicate_at_gateway": 1, "missing_at_gateway": 1}  # and R-LATE, awaited until now
    assert of_class("duplicate_at_gateway", NEXT).reason == "repeated_line"
    again = count(run_day(tmp_path, [report]))
    assert "missing_in_ledger" not in again
    assert again["matched"] == 3  # with R-FINE and R-TWICE
    assert of_class("missing_in_ledger").state == "healed"


def test_a_line_ahead_of_its_day_that_is_taken_over_is_not_missing_on_its_day(tmp_path: Path) -> None:
    run_day(tmp_path, [[line("R-EARLY", occurred_at=at(NEXT, 10))]])
    ended(of_class("missing_in_ledger").id, "adopt")
    assert count(run_day(tmp_path, [[]], day=NEXT)) == {}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"status": "failed"}, "says failed, not paid"),
        ({"rupiah": "45000.50"}, "whole rupiah"),
        ({"reference": "R STRANGER"}, "cannot be one of our ledger"),
    ],
)
def test_a_line_that_cannot_be_a_payment_is_not_taken_over(
    tmp_path: Path, said: dict[str, Any], why: str
) -> None:
    said = {"reference": "R-STRANGER"} | said
    run_day(tmp_path, [[line(**said)]])
    with pytest.raises(NotPossible, match=why):
        ended(of_class("missing_in_ledger").id, "adopt")
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Payment)) == 0
    assert ended(of_class("missing_in_ledger").id, "explain").state == "explained"


# Matched by hand


def mangled(folder: Path, *, ours: Item | None = None, day: date = DAY) -> tuple[int, UUID]:
    """A payment, and a line for it whose reference the gateway has mangled; the line's exception."""
    load_ledger(folder, [ours or item("R-1")])
    run_day(folder, [[line("R1")]], day=day)
    return of_class("missing_in_ledger", day).id, the_payment("R-1").id


def matched(folder: Path, **more: Any) -> tuple[int, UUID]:
    number, ours = mangled(folder, **more)
    assert decide(ended(number, "match", payment_id=ours).approval).ended == [number]
    return number, ours


def test_two_people_match_a_line_with_a_payment_and_both_exceptions_end(tmp_path: Path) -> None:
    number, _ = matched(tmp_path)
    assert set(all_states().values()) == {"matched"}
    assert steps(number)[1:] == [("open", "open", ANI), ("open", "matched", BUDI)]
    other = of_class("missing_at_gateway").id
    assert steps(other)[1:] == [("open", "matched", BUDI)]


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (line("R-1", gateway_reference="G-R1"), "repeated_line"),
        (line("R1"), "repeated_line"),
        (line("R-1"), "second_charge"),
    ],
)
def test_a_later_line_of_what_was_matched_by_hand_is_a_duplicate(
    tmp_path: Path, late: Line, reason: str
) -> None:
    matched(tmp_path)
    assert count(run_day(tmp_path, [[late]], day=NEXT)) == {"duplicate_at_gateway": 1}
    assert of_class("duplicate_at_gateway", NEXT).reason == reason
    assert of_class("duplicate_at_gateway", NEXT).reference == "R-1"


def test_a_new_version_of_the_day_matches_what_was_matched_by_hand(tmp_path: Path) -> None:
    matched(tmp_path)
    assert count(run_day(tmp_path, [[line("R1")]])) == {"matched": 1}
    assert set(all_states().values()) == {"matched"}
    assert count(run_day(tmp_path, [[line("R1"), line("R-1")]], day=NEXT)) == {"duplicate_at_gateway": 2}


def test_an_awaited_payment_that_was_matched_by_hand_is_not_missing_the_day_after(tmp_path: Path) -> None:
    matched(tmp_path, ours=item("R-1", hour=23.9))
    assert count(run_day(tmp_path, [[]], day=NEXT)) == {}
    assert set(all_states().values()) == {"matched"}


def test_a_payment_of_the_next_day_that_was_matched_by_hand_is_not_missing_there(tmp_path: Path) -> None:
    matched(tmp_path, ours=item("R-1", hour=0.1, day=NEXT))
    assert count(run_day(tmp_path, [[]], day=NEXT)) == {}


def test_a_payment_of_an_earlier_day_is_not_missing_again_either(tmp_path: Path) -> None:
    load_ledger(tmp_path, [item("R-1", day=DAY - timedelta(days=1))])
    run_day(tmp_path, [[]], day=DAY - timedelta(days=1))
    run_day(tmp_path, [[line("R1")]])
    decide(ended(of_class("missing_in_ledger").id, "match", payment_id=the_payment("R-1").id).approval)
    assert set(all_states().values()) == {"matched"}
    run_day(tmp_path, [[]], day=DAY - timedelta(days=1))  # as it was found, and ended as it was
    assert set(all_states().values()) == {"matched"}
    assert count(run_day(tmp_path, [[line("R1")]])) == {"matched": 1}


def test_a_match_whose_line_is_gone_from_a_corrected_report_is_open_again(tmp_path: Path) -> None:
    matched(tmp_path)
    run_day(tmp_path, [[]])
    states = all_states()
    assert states["missing_at_gateway", "R-1", DAY] == "open"
    assert states["missing_in_ledger", "R1", DAY] == "matched"


def test_a_payment_that_was_not_paid_here_becomes_paid_by_its_match(tmp_path: Path) -> None:
    matched(tmp_path, ours=item("R-1", status="pending"))
    ours = the_payment("R-1")
    assert (ours.status, ours.paid_at) == ("paid", at(DAY, 9 * 3600))
    assert count(run_day(tmp_path, [[line("R1")]])) == {"matched": 1}
    assert count(run_day(tmp_path, [[]], day=NEXT)) == {}


def test_a_match_that_would_hide_a_difference_or_count_twice_is_refused(tmp_path: Path) -> None:
    load_ledger(tmp_path, [item("R-1"), item("R-2", 99_000), item("R-3"), item("R-4", status="reversed")])
    run_day(tmp_path, [[line("R1"), line("R2"), line("R-3")]])
    with unit_of_work() as session:
        lines = {
            one.reference: one.id for one in exceptions.search(session, class_="missing_in_ledger", limit=9)
        }

    def refused(reference: str, ours: UUID) -> str:
        with pytest.raises(NotPossible) as why:
            ended(lines[reference], "match", payment_id=ours)
        return str(why.value)

    assert "not of the same money" in refused("R1", the_payment("R-2").id)
    assert "matched already" in refused("R1", the_payment("R-3").id)
    assert "was reversed" in refused("R1", the_payment("R-4").id)
    assert "no such payment" in refused("R1", uuid4())
    decide(ended(lines["R1"], "match", payment_id=the_payment("R-1").id).approval)
    assert "matched already" in refused("R2", the_payment("R-1").id)


def test_of_two_questions_that_match_one_payment_the_second_has_no_effect(tmp_path: Path) -> None:
    load_ledger(tmp_path, [item("R-1")])
    run_day(tmp_path, [[line("R1"), line("R2")]])
    with unit_of_work() as session:
        one, two = (found.id for found in exceptions.search(session, class_="missing_in_ledger"))
    ours = the_payment("R-1").id
    first, second = (ended(number, "match", payment_id=ours).approval for number in (one, two))
    decide(first)
    with pytest.raises(Overtaken, match="matched already"):
        decide(second)


# Proposals, refunds


def test_of_two_charges_the_later_one_is_proposed_to_be_given_back(tmp_path: Path) -> None:
    load_ledger(tmp_path, [item("R-1"), item("R-2")])
    after, before = at(DAY, 36_000), at(DAY, 3_600)
    run_day(
        tmp_path,
        [
            [
                line("R-1"), line("R-1", gateway_reference="G-X", occurred_at=after),
                line("R-2"), line("R-2", gateway_reference="G-X", occurred_at=before),
            ]
        ],
    )  # fmt: skip
    with unit_of_work() as session:
        found = exceptions.search(session, class_="duplicate_at_gateway")
        suggested = {one.reference: proposals(session, one) for one in found}
    (first,), (second,) = suggested["R-1"], suggested["R-2"]
    assert (first.action, first.amount_minor) == ("refund", 10_000_000)
    assert first.target["gateway_reference"] == "G-X"
    assert second.target["gateway_reference"] == "G-R-2"
    assert first.target["payment_id"] == str(the_payment("R-1").id)


def test_a_line_without_a_payment_is_proposed_for_its_likely_payment_and_to_take_over(tmp_path: Path) -> None:
    number, ours = mangled(tmp_path)
    first, *others = proposed(number)
    assert (first.action, first.target["payment_id"]) == ("match", str(ours))
    assert [one.action for one in others] == ["adopt", "refund"]
    (its,) = proposed(of_class("missing_at_gateway").id)
    assert (its.action, its.target["exception_id"]) == ("match", str(number))
    ended(number, "explain")
    assert proposed(number) == []


def test_every_step_stays_as_it_was_written(tmp_path: Path) -> None:
    matched(tmp_path)
    for table in ("exception_events", "hand_matches", "exception_request_items"):
        for statement in (f"UPDATE {table} SET exception_id = exception_id", f"DELETE FROM {table}"):
            with pytest.raises(sa.exc.DBAPIError) as refused, unit_of_work() as session:
                session.execute(sa.text(statement))
            assert isinstance(refused.value.orig, psycopg.errors.RestrictViolation)


@pytest.mark.parametrize("by", ["ani", "operator:", "operator:аni", "root:ani", "client:"])
def test_nobody_is_no_name(tmp_path: Path, by: str) -> None:
    every_class(tmp_path)
    with pytest.raises(approval.NobodyNamed):
        ended(of_class("fee_mismatch").id, "explain", by=by)


@pytest.mark.parametrize("reason", ["", "   ", "\x00", "x" * 501])
def test_a_reason_is_needed_and_has_an_end(tmp_path: Path, reason: str) -> None:
    every_class(tmp_path)
    with pytest.raises(NotPossible, match="reason"):
        ended(of_class("fee_mismatch").id, "explain", reason=reason)


def test_unknown_ones_are_said_to_be(tmp_path: Sequence[Path]) -> None:
    with pytest.raises(NotOpen, match="There is no exception 99"):
        ended(99, "explain")

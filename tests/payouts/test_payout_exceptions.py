"""Differences of payouts are exceptions: opened by the proof, ended by people or by the next statement."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from bank_world import (
    THU,
    TUE,
    WED,
    Credit,
    bank_file,
    book,
    classes,
    covering,
    net,
    paid,
    proof,
    settle,
    take_ledger,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records import (
    approval,
    db,
    exception_list,
    exception_sheet,
    exception_work,
    exceptions,
    payout,
)
from records.calendar import expected_by
from records.classes import NO_EXCEPTION
from records.db import connection, unit_of_work
from records.exception_list import Filter
from records.exception_proposals import Proposal, proposals
from records.exceptions import NotPossible, ReconciliationException
from tasks import bank_statements

DAY = [paid("A1", 150_000), paid("A2", 275_000), paid("A3", 99_000)]
ANI, BUDI = "operator:ani", "operator:budi"
pytestmark = pytest.mark.usefixtures("database")


def all_of(type: str = "payout") -> list[ReconciliationException]:
    with unit_of_work() as session:
        return exceptions.search(session, type=type, state=None, limit=1000)


def states() -> dict[tuple[str, str | None], str]:
    return {(one.class_, one.reference): one.state for one in all_of()}


def the(class_: str) -> ReconciliationException:
    (found,) = (one for one in all_of() if one.class_ == class_)
    return found


def steps(number: int) -> list[tuple[str, str, str]]:
    with unit_of_work() as session:
        return [(one.to_state, one.actor, one.reason) for one in exceptions.history(session, number)]


def ended(number: int, action: str = "explain", **more: Any) -> exception_work.Outcome:
    with unit_of_work() as session:
        return exception_work.resolve(session, number, action, **{"by": ANI, "reason": "FIN-118"} | more)


def decided(asked: approval.Approval | None) -> exception_work.Decided:
    assert asked is not None
    with unit_of_work() as session:
        exception_work.hold(session, asked.subject_id)
        said = approval.decide(session, asked.id, by=BUDI, approve=True, reason="seen")
        return exception_work.decided(session, said)


def proposed(number: int) -> list[Proposal]:
    with unit_of_work() as session:
        return proposals(session, session.get_one(ReconciliationException, number))


def every_class(folder: Path) -> None:
    """One payout exception of each class that there can be, all on Wednesday."""
    settle(folder, TUE, [
        paid("A1", 150_000, payout="PO-1"), paid("A2", 275_000, payout="PO-1"),
        paid("B1", 60_000, payout="PO-2"), paid("C1", 70_000, payout="PO-3"),
    ])  # fmt: skip
    short, whole = net(paid("A1", 150_000)), net(paid("B1", 60_000))
    credits = [
        Credit(WED, short, "PO-1"), Credit(WED, Decimal(10), "PO-2", currency="USD"),
        Credit(WED, whole, "PO-2", reference="TWICE"), Credit(WED, Decimal(5_000_000), "PO-9"),
        Credit(WED, Decimal(1), malformed="1e5"),
    ]  # fmt: skip
    bank_statements.take(bank_file(folder, [credits[0], credits[1], credits[3], credits[4]], "wed.csv"))
    book(folder, Credit(THU, whole, "PO-2", reference="TWICE"))
    proof(WED, THU)


def test_every_difference_of_a_payout_is_an_open_exception_with_its_money_and_its_evidence(
    tmp_path: Path,
) -> None:
    every_class(tmp_path)
    found = {one.class_: one for one in all_of()}
    assert {name: (one.risk_minor, one.business_date, one.reference) for name, one in found.items()} == {
        "amount_mismatch": (26_950_000, WED, "PO-1"),
        "currency_mismatch": (5_880_000, WED, "PO-2"),
        "missing_at_gateway": (6_860_000, WED, "PO-3"),
        "missing_in_ledger": (500_000_000, WED, "PO-9"),
        "duplicate_at_gateway": (5_880_000, THU, "PO-2"),
        "malformed_line": (0, WED, None),
    }
    assert {one.state for one in found.values()} == {"open"}
    assert expected_by(found["missing_at_gateway"]) == WED
    assert (found["amount_mismatch"].source_name, found["amount_mismatch"].line_no) == ("wed.csv", 2)
    assert found["malformed_line"].found["seen"] == "1e5"
    with unit_of_work() as session:
        sides = payout.evidence(session, found["amount_mismatch"])
        ages = {one.gateway: one for one in exception_list.ageing(session, WED) if one.count}
        listed = exception_list.page(session, Filter(type="payout"), "risk")
        assert exception_list.totals(session, Filter(type="payment")) == (0, 0)
    assert sides is not None
    assert sides["explanation"]["references"] == ["A2"]
    assert (ages["gopay"].count, ages["gopay"].at_risk_minor) == (6, sum(one.risk_minor for one in listed))
    assert listed[0].class_ == "missing_in_ledger"


def test_a_debit_that_nobody_expected_puts_all_of_it_at_risk(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, Credit(WED, net(*DAY)), Credit(WED, Decimal(-400_000)))
    proof(WED)
    assert the("missing_in_ledger").risk_minor == 40_000_000


def test_a_late_credit_ends_its_exception_with_the_statement_that_brings_it(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, covering(WED))
    proof(WED)
    missing = the("missing_at_gateway")
    _, read = bank_statements.take(bank_file(tmp_path, [covering(THU), Credit(THU, net(*DAY))]))
    bank_statements.reconcile(read)
    assert [one.state for one in all_of()] == ["settled"]
    assert [(state, who) for state, who, _ in steps(missing.id)] == [
        ("open", "payouts"), ("settled", "payouts"),
    ]  # fmt: skip
    assert steps(missing.id)[-1][2] == f"the bank booked all of it on {THU}"
    proof(WED)  # that day again: what is known stays known
    assert [one.state for one in all_of()] == ["settled"]


def test_a_late_credit_of_another_amount_carries_it_to_the_day_on_which_it_came(tmp_path: Path) -> None:
    settle(tmp_path, TUE, [paid("A1", 150_000, payout="PO-1"), paid("A2", 275_000, payout="PO-1")])
    book(tmp_path, covering(WED))
    proof(WED)
    book(tmp_path, Credit(THU, net(paid("A1", 150_000)), "PO-1"))
    proof(THU)
    assert states() == {("missing_at_gateway", "PO-1"): "carried", ("amount_mismatch", "PO-1"): "open"}
    assert steps(the("missing_at_gateway").id)[-1][2] == f"now an exception of {THU}: amount_mismatch"


def test_an_entry_whose_report_comes_later_is_settled_by_it(tmp_path: Path) -> None:
    book(tmp_path, Credit(WED, net(*DAY)))
    proof(WED)
    assert states() == {("missing_in_ledger", None): "open"}
    settle(tmp_path, TUE, DAY)
    proof(WED)
    assert [one.state for one in all_of()] == ["settled"]
    assert steps(all_of()[0].id)[-1][2] == f"it pays due:{WED}"


def test_what_a_new_version_no_longer_finds_is_cleared_and_opens_again_if_it_comes_back(
    tmp_path: Path,
) -> None:
    book(tmp_path, covering(WED))
    settle(tmp_path, TUE, DAY)
    proof(WED)
    with connection() as bare:
        bare.execute("UPDATE reconciliations SET is_balanced = false")  # its lines may not be relied on now
    proof(WED)
    assert states() == {("missing_at_gateway", f"due:{WED}"): "cleared"}
    with connection() as bare:
        bare.execute("UPDATE reconciliations SET is_balanced = true")
    proof(WED)
    assert states() == {("missing_at_gateway", f"due:{WED}"): "open"}
    assert [state for state, _, _ in steps(the("missing_at_gateway").id)] == ["open", "cleared", "open"]


def test_what_people_have_ended_stays_so_until_its_amounts_are_others(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, Credit(WED, net(*DAY) - net(DAY[1])))
    proof(WED)
    found = the("amount_mismatch")
    assert ended(found.id).state == "explained"
    proof(WED)
    assert the("amount_mismatch").state == "explained"
    outcome = proof(WED)
    assert (outcome["exceptions_open"], outcome["classes"]["amount_mismatch"]["count"]) == (0, 1)
    settle(tmp_path, TUE, [*DAY, paid("A4", 80_000)])
    proof(WED)
    again = the("amount_mismatch")
    assert (again.id, again.state) == (found.id, "open")
    assert steps(found.id)[-1][2] == "found again with other amounts"


def test_two_people_write_off_the_difference_of_a_payout(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, Credit(WED, net(*DAY) - net(DAY[1])))
    proof(WED)
    found = the("amount_mismatch")
    outcome = ended(found.id, "write_off")
    assert outcome.approval is not None
    assert (outcome.state, outcome.approval.amount_minor) == ("open", int(net(DAY[1]) * 100))
    assert decided(outcome.approval).ended == [found.id]
    proof(WED)
    assert the("amount_mismatch").state == "written_off"


def test_two_people_match_an_entry_under_another_name_and_every_later_proof_knows_it(
    tmp_path: Path,
) -> None:
    lines = [paid("A1", 150_000, payout="PO-1")]
    settle(tmp_path, TUE, lines)
    book(tmp_path, Credit(WED, Decimal(2), "PO-8"), Credit(THU, net(*lines), "PO-7"))
    assert set(classes(proof(WED, THU))) == {"missing_at_gateway", "missing_in_ledger"}
    entry, other = (one for one in all_of() if one.class_ == "missing_in_ledger")
    entry = entry if entry.reference == "PO-7" else other
    missing = the("missing_at_gateway")
    for found in (entry, missing):
        (one,) = proposed(found.id)
        assert (one.action, one.target) == ("match", {"exception_id": str(entry.id), "payout": "PO-1"})
    outcome = ended(entry.id, "match", payout="PO-1")
    assert outcome.approval is not None
    assert "is the payout PO-1" in outcome.approval.summary
    assert decided(outcome.approval).ended == [entry.id]
    assert (states()["missing_in_ledger", "PO-7"], states()["missing_at_gateway", "PO-1"]) == (
        "matched", "matched",
    )  # fmt: skip
    found_now = classes(proof(WED, THU))
    assert found_now["matched"] == (1, net(*lines), net(*lines))
    assert "missing_at_gateway" not in found_now
    book(tmp_path, Credit(THU, net(*lines), "PO-1"))  # the payout once more, under its own name
    proof(THU)
    assert states()["missing_in_ledger", "PO-1"] == "open"
    assert states()["missing_in_ledger", "PO-7"] == "matched"


def test_a_match_of_other_money_of_another_class_or_with_a_payment_is_refused(tmp_path: Path) -> None:
    settle(tmp_path, TUE, [paid("A1", 150_000, payout="PO-1")])
    book(tmp_path, Credit(WED, Decimal(2), "PO-7"))
    proof(WED)
    entry, missing = the("missing_in_ledger"), the("missing_at_gateway")
    with pytest.raises(NotPossible, match="not of the same money"):
        ended(entry.id, "match", payout="PO-1")
    with pytest.raises(NotPossible, match="has no payout 'PO-9' that the bank lacks"):
        ended(entry.id, "match", payout="PO-9")
    with pytest.raises(NotPossible, match="only an entry of the bank"):
        ended(missing.id, "match", payout="PO-1")
    with pytest.raises(NotPossible, match="An entry of the bank is matched with a payout"):
        ended(entry.id, "match", payment_id=entry.subject_id)
    with pytest.raises(NotPossible, match="Only a payment's line"):
        ended(entry.id, "adopt")
    assert exception_work.possible(entry) == ["explain", "write_off", "match"]
    assert exception_work.possible(missing) == ["explain", "write_off"]


def test_payouts_stand_in_the_sheet_and_a_day_that_is_run_again_leaves_them_alone(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, Credit(WED, net(*DAY) - net(DAY[1])))
    proof(WED)
    with unit_of_work() as session:
        (row,) = exception_sheet.rows(session, Filter())
        cells = dict(zip(exception_sheet.COLUMNS, exception_sheet.as_texts(row), strict=True))
    assert (cells["type"], cells["reference"], cells["at_risk"]) == ("payout", f"due:{WED}", "269500.00")
    settle(tmp_path, WED, [paid("C1", 80_000)])  # the business day that is the bank day of the exception
    assert the("amount_mismatch").state == "open"
    filled = cells | {"action": "explain", "reason": "FIN-118"}
    with unit_of_work() as session:
        done = exception_sheet.apply(
            session, exception_sheet.Sheet(1, [exception_sheet.Row(2, filled)]), by=ANI
        )
    assert (done.ended, done.faults) == ({"explained": 1}, [])


def test_a_proof_and_a_person_at_the_same_exception_take_turns(database: str, tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    book(tmp_path, covering(WED))
    proof(WED)
    found = the("missing_at_gateway")
    book(tmp_path, Credit(THU, net(*DAY)))
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = "
    )
    waiting += "'Lock'"
    with ThreadPoolExecutor(1) as pool, unit_of_work() as session:
        exception_work.resolve(session, found.id, "explain", by=ANI, reason="FIN-118")
        running = pool.submit(proof, THU)
        with psycopg.connect(database, autocommit=True) as looking:
            while looking.execute(waiting).fetchone() == (0,):
                assert not running.done(), running.result()
        session.commit()  # the person was first; the proof sees it and leaves it so
        assert running.result(30)["exceptions_open"] == 0
    assert the("missing_at_gateway").state == "explained"


def test_open_exceptions_are_what_is_known_to_differ_whatever_came_when(tmp_path: Path) -> None:
    settle(tmp_path, TUE, DAY)
    settle(tmp_path, WED, [paid("C1", 80_000, payout="PO-1")])
    days: list[date] = [TUE, WED, THU]
    amounts = [net(*DAY), net(*DAY) - 1, net(paid("C1", 80_000)), Decimal(5)]
    steps_ = st.lists(
        st.tuples(
            st.sampled_from(days), st.sampled_from(amounts), st.sampled_from(["", "PO-1", "PO-2"]),
            st.sampled_from(days), st.integers(0, 2),
        ),
        min_size=1, max_size=4,
    )  # fmt: skip

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps_)
    def worked(came: list[tuple[date, Decimal, str, date, int]]) -> None:
        for number, (day, amount, name, first, more) in enumerate(came):
            book(tmp_path, Credit(day, amount, name, reference=f"{day}{amount}{name}{number}"))
            proof(first, days[min(days.index(first) + more, 2)])
            with unit_of_work() as session:
                known = {(one.identity, one.class_) for one in payout.search(session, limit=1000)}
            differing = {(identity, name) for identity, name in known if name not in NO_EXCEPTION}
            is_open = {(one.subject_id, one.class_) for one in all_of() if one.state == "open"}
            assert is_open == differing

    worked()


def test_the_night_of_a_gateway_leaves_the_payouts_of_another_alone(tmp_path: Path) -> None:
    take_ledger(tmp_path, TUE, DAY)
    book(tmp_path, Credit(WED, Decimal(7)))
    proof(WED)
    proof(WED, gateway="linkaja")
    assert [one.state for one in all_of()] == ["open"]


def test_an_upgrade_opens_what_is_known_to_differ_and_the_way_back_forgets_it(
    database: str, tmp_path: Path
) -> None:
    every_class(tmp_path)
    before = {(one.identity, one.class_, one.risk_minor) for one in all_of()}
    entry = the("missing_in_ledger")
    outcome = ended(entry.id, "write_off")
    db.downgrade(database, "0007")
    with connection() as bare:
        assert bare.execute("SELECT count(*) FROM reconciliation_exceptions").fetchone() == (0,)
        assert bare.execute("SELECT state FROM approvals").fetchall() == [("expired",)]
    db.upgrade(database)
    assert {(one.identity, one.class_, one.risk_minor) for one in all_of()} == before
    assert outcome.approval is not None

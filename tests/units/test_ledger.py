"""The ledger: its state machine, its import, its migrations, its fee plan in SQL and in Python."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import money
from records import db, ledger, models
from records.db import connection, unit_of_work
from records.payment import MOVES, PAYMENT_STATUSES, Payment, PaymentEvent, apply, locked

HEAD = "reference,gateway,gateway_reference,amount,currency,status,created_at,paid_at"
ROW = "A1,gopay,G1,150000,IDR,paid,2026-11-24T09:00:00+07:00,2026-11-24T10:00:00+07:00"
RANK = {"created": 0, "unknown": 1, "pending": 2, "paid": 3, "partially_refunded": 4}


def take(folder: Path, *rows: str, head: str = HEAD, kind: ledger.Kind = ledger.PAYMENTS) -> ledger.Imported:
    path = folder / "ledger.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    with connection() as opened:
        return ledger.import_file(opened, path, kind, size_limit=10**9, scratch=folder)


def the_payment() -> Payment:
    with unit_of_work() as session:
        return session.scalars(sa.select(Payment)).one()


def test_states_never_lead_back() -> None:
    assert set(MOVES) == PAYMENT_STATUSES
    for state, targets in MOVES.items():
        for target in targets:
            assert RANK.get(target, 9) > RANK.get(state, 9) or (target in ("unknown",) and state == "created")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.sampled_from(sorted(PAYMENT_STATUSES)), max_size=8))
def test_any_order_of_news_ends_in_a_state_that_the_rules_allow(
    database: str, tmp_path: Path, moves: list[str]
) -> None:
    with unit_of_work() as session:
        session.execute(sa.text("TRUNCATE payments, payment_events CASCADE"))
    take(tmp_path, ROW.replace("paid", "created", 1).rsplit(",", 1)[0] + ",")
    expected, steps = "created", ["created"]
    payment_id = the_payment().id
    for move in moves:
        if move in MOVES[expected]:
            legal = [move]
        else:  # what goes back was paid before
            legal = ["paid", move] if "paid" in MOVES[expected] and move in MOVES["paid"] else []
        with unit_of_work() as session:
            moved = apply(
                session,
                locked(session, payment_id),
                move,
                cause="test",
                source="test",
                effective_at=datetime.now(UTC),
            )  # type: ignore[arg-type]
        assert moved == bool(legal)
        steps += legal
        expected = steps[-1]
    assert the_payment().status == expected
    with unit_of_work() as session:
        assert session.scalars(sa.select(PaymentEvent.to_status).order_by(PaymentEvent.id)).all() == steps


def test_events_can_only_be_added(database: str, tmp_path: Path) -> None:
    take(tmp_path, ROW)
    for statement in ("UPDATE payment_events SET cause = 'x'", "DELETE FROM payment_events"):
        with connection() as opened, pytest.raises(psycopg.errors.RestrictViolation):
            opened.execute(statement)  # type: ignore[arg-type]


def test_the_same_file_again_changes_nothing(database: str, tmp_path: Path) -> None:
    assert vars(take(tmp_path, ROW, ROW)) == vars(ledger.Imported(rows=2, imported=1, unchanged=1))
    assert vars(take(tmp_path, ROW)) == vars(ledger.Imported(rows=1, imported=0, unchanged=1))
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(PaymentEvent)) == 1


def test_a_payment_that_moved_since_its_import_is_still_the_same_row(database: str, tmp_path: Path) -> None:
    pending = ROW.replace("paid", "pending", 1).rsplit(",", 1)[0] + ","
    take(tmp_path, pending)
    with unit_of_work() as session:
        now = datetime.now(UTC)
        apply(
            session,
            locked(session, the_payment().id),
            "paid",
            cause="test",
            source="test",
            effective_at=now,
        )
    again = take(tmp_path, pending)
    assert (again.unchanged, again.refused) == (1, [])
    assert the_payment().status == "paid"


@pytest.mark.parametrize(
    ("row", "column", "text"),
    [
        (ROW.replace("150000", "150001"), "amount", "150001"),
        (ROW.replace("G1", "G2"), "gateway_reference", "G2"),
        (ROW.replace("gopay", "ovo"), "gateway", "ovo"),
        (ROW.replace("T10:00", "T10:01"), "paid_at", "2026-11-24"),
        (ROW.replace("paid", "refunded", 1), "status", "refunded"),
    ],
)
def test_the_same_reference_with_other_content_is_refused(
    database: str, tmp_path: Path, row: str, column: str, text: str
) -> None:
    in_one_file = take(tmp_path, ROW, row)
    assert (in_one_file.imported, in_one_file.refused_count) == (1, 1)
    later = take(tmp_path, row)
    for result, line in ((in_one_file, 3), (later, 2)):
        (refused,) = result.refused
        assert (refused.line, refused.column) == (line, column)
        assert refused.text.startswith(text)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (ROW.replace("A1", "=A1"), "reference"),
        (ROW.replace("A1", "A" * 33), "reference"),
        (ROW.replace("A1", ""), "reference"),
        (ROW.replace("gopay", "dana"), "gateway"),
        (ROW.replace("150000", "150000.50"), "amount"),
        (ROW.replace("150000", "0"), "amount"),
        (ROW.replace("150000", "1e5"), "amount"),
        (ROW.replace("150000", "99999999999999999"), "amount"),
        (ROW.replace("IDR", "XXQ"), "currency"),
        (ROW.replace("paid", "settled", 1), "status"),
        (ROW.replace("2026-11-24T09", "2026-02-30T09"), "created_at"),
        (ROW.rsplit(",", 1)[0] + ",", "paid_at"),
        (ROW + ",x", None),
    ],
)
def test_a_bad_row_is_named_by_line_and_reason(
    database: str, tmp_path: Path, row: str, column: str | None
) -> None:
    result = take(tmp_path, ROW.replace("A1", "A0"), row)
    assert (result.rows, result.imported, result.refused_count) == (2, 1, 1)
    assert (result.refused[0].line, result.refused[0].column) == (3, column)
    assert the_payment().reference == "A0"


def test_a_killed_import_leaves_nothing(database: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    path.write_text(f"{HEAD}\n{ROW}\n")
    opened = psycopg.connect(database)
    ledger.import_file(opened, path, size_limit=10**9, scratch=tmp_path)
    opened.close()  # as a killed process does: without a commit
    with unit_of_work() as session:
        for table in ("payments", "payment_events", "ledger_imports"):
            assert session.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0


def test_refunds_join_their_payments_and_never_exceed_them(database: str, tmp_path: Path) -> None:
    take(tmp_path, ROW.replace(",paid,", ",partially_refunded,"))
    head = (
        "reference,payment_reference,gateway,gateway_reference,amount,currency,status,created_at,confirmed_at"
    )
    row = "R1,A1,gopay,,100000,IDR,confirmed,2026-11-24T11:00:00+07:00,2026-11-24T12:00:00+07:00"
    too_much = row.replace("R1", "R2")
    unknown = row.replace("R1,A1", "R3,A9")
    result = take(tmp_path, row, too_much, unknown, head=head, kind=ledger.REFUNDS)
    assert [(one.line, one.column) for one in result.refused] == [(3, "amount"), (4, "payment_reference")]
    assert the_payment().refunded_minor == 10_000_000
    assert take(tmp_path, row, head=head, kind=ledger.REFUNDS).unchanged == 1


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    amount=st.one_of(st.integers(1, 10**18), st.integers(10**12 - 200, 10**12 + 200)),
    percent=st.decimals(0, 100, places=4),
    fixed=st.decimals(0, 1_000_000, places=2),
)
def test_the_fee_plan_in_sql_is_the_one_in_python(
    fee_session: psycopg.Connection, amount: int, percent: Decimal, fixed: Decimal
) -> None:
    row = fee_session.execute(
        "SELECT plan_fee_minor(%s, %s, %s)", [amount, int(percent * 10_000), int(fixed * 100)]
    ).fetchone()
    assert row is not None
    assert row[0] == money.fee_minor(amount, percent, fixed)


@pytest.fixture(scope="module")
def fee_session(server: str, template: str):
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE fees TEMPLATE {template}")
    with psycopg.connect(server.replace("/jembatan", "/fees", 1)) as opened:
        yield opened


def test_migrations_go_down_and_up_again(database: str) -> None:
    db.downgrade(database, "base")
    with connection() as opened:
        left = opened.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchone()
        assert left == (1,)  # Alembic's own
    db.upgrade(database)
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Payment)) == 0


def test_models_are_what_the_migrations_make(database: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with db.engine(database).connect() as opened:
        context = MigrationContext.configure(
            opened, opts={"compare_type": True, "include_name": models.is_ours}
        )
        differences = compare_metadata(context, models.Base.metadata)
    ignored = ("remove_table", "remove_index", "add_index", "remove_constraint", "add_constraint")
    assert [change for change in differences if change[0] not in ignored] == []


def test_ids_are_ordered_by_time(database: str, tmp_path: Path) -> None:
    take(tmp_path, *(ROW.replace("A1", f"A{n}") for n in range(5)))
    with unit_of_work() as session:
        ids: list[UUID] = list(session.scalars(sa.select(Payment.id).order_by(Payment.reference)))
    assert {one.version for one in ids} == {7}

"""A week of business for the console: statements of three wallets with open exceptions of several ages."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import learner_world
import sqlalchemy as sa
from api_world import Paid, reconcile, save

from api.console.learners import learner_address
from common import clock, money
from records import entitlement_look, payout_run, payout_sums, process
from records.db import connection, unit_of_work
from records.entitlement import PROCESS, Finding
from records.entitlement_look import Rules
from tasks import bank_statements


def a_week(folder: Path) -> None:
    """Yesterday has a second charge, an unknown line and more; earlier days some that are older."""
    for gateway, days in (("gopay", (1, 5, 20)), ("linkaja", (1, 3)), ("ovo", (1, 40))):
        for ago in days:
            _day(folder, gateway, ago)
    _pay_out(folder)


def _pay_out(folder: Path) -> None:
    """What the bank has booked of older days: GoPay lacks a payment, OVO came late and is another."""
    today = clock.business_date(clock.now())
    rows = []
    for gateway, first in (("gopay", 5), ("linkaja", 3), ("ovo", 40)):
        day = today - timedelta(days=first)
        with unit_of_work() as session:
            (payout,) = payout_sums.settled(session, gateway, day, day, 0).values()
        lacking = {"gopay": 22_050_000, "ovo": 1_000_000}.get(gateway, 0)  # a payment of 225,000 less its fee
        amount = money.plain(payout.expected_minor - lacking)
        name = "KREDIT 0815" if gateway == "ovo" else payout.key.removeprefix("due:")
        late = timedelta(days=gateway == "ovo")
        rows.append(
            f"0012345678,{payout.due_on + late},{amount},credit,IDR,,TRSF SANDBOX {gateway} PAYOUT {name}"
        )
    path = folder / f"bank-{today}.csv"
    path.write_text(
        "\n".join(["account,booked_on,amount,direction,currency,reference,narrative", *rows]) + "\n"
    )
    bank_statements.take(path)
    for gateway in ("gopay", "linkaja", "ovo"):
        with unit_of_work() as session:
            payout_run.reconcile(session, gateway, today - timedelta(days=45), today)


def _day(folder: Path, gateway: str, ago: int) -> None:
    day = clock.business_date(clock.now()) - timedelta(days=ago)
    mark = f"INV-{gateway[0].upper()}{day:%m%d}"

    def paid(number: int, rupiah: int, **more: str) -> Paid:
        return Paid(f"{mark}-{number:03}", rupiah, 9 + number, gateway=gateway, day=day, **more)

    fine = [paid(number, 150_000 + 25_000 * number) for number in range(1, 9)]
    twice, less, unpaid, absent = (
        paid(9, 275_000),
        paid(10, 350_000),
        paid(11, 50_000, status="pending"),
        paid(12, 480_000),
    )
    save([*fine, twice, less, unpaid, absent])
    lines = [one.line() for one in fine] + [twice.line(), less.line(amount="345000")]
    if ago == 1:
        lines.append(twice.line(gateway_reference="GP-9977-2041"))
        lines.append(Paid(f"{mark}-777", 1_480_000, 14, gateway=gateway, day=day).line())
        lines.append(unpaid.line())
    reconcile(folder, lines, day=day, gateway=gateway)


def a_learner() -> tuple[str, str]:
    """A learner who completed a program whose money went back; where they and what differs are shown."""
    learner, code = "learner-4711", "LPK-2024-001"
    learner_world.registered(code, "SIPLATIH-2024-001234")
    payment = learner_world.paid(
        "INV-2024-004799", learner, code, status="refunded", refunded_minor=15_000_000
    )
    learner_world.given_back(payment, 150_000)
    learner_world.told(learner, code, "enrolled", 29)
    learner_world.told(learner, code, "completed", 20)
    learner_world.reported(learner, code, "CERT-2024-004711")
    no_grace = Rules(*[timedelta(0)] * 4)
    with unit_of_work() as session:
        run, _ = process.request(session, PROCESS, uuid4().hex, {})
    with connection() as db:
        assert entitlement_look.take(db, run.id, no_grace, clock.now() + timedelta(seconds=1))
    with unit_of_work() as session:
        found = session.scalars(sa.select(Finding.id).filter_by(class_="reported_without_payment")).one()
    return learner_address(learner), f"/console/learners/findings/{found}"

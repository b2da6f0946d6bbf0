"""A week of business for the console: statements of three wallets with open exceptions of several ages."""

from datetime import timedelta
from pathlib import Path

from api_world import Paid, reconcile, save

from common import clock


def a_week(folder: Path) -> None:
    """Yesterday has a second charge, an unknown line and more; earlier days some that are older."""
    for gateway, days in (("gopay", (1, 5, 20)), ("linkaja", (1, 3)), ("ovo", (1, 40))):
        for ago in days:
            _day(folder, gateway, ago)


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

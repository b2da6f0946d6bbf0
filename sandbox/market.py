"""An ordinary day of payments: how much and when. All is clean here; differences.py does the rest."""

import hashlib
import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sandbox.model import Payment
from sandbox.wib import midnight

# Shares of the day's payments by hour, WIB: quiet nights, a peak before lunch, the largest after dinner.
HOURS = (6, 4, 2, 2, 3, 6, 14, 28, 46, 62, 70, 66, 54, 58, 62, 58, 52, 50, 56, 74, 84, 72, 40, 18)
# What training costs in rupiah: a module, a short course, a certification, a whole programme.
PRICES = (
    35_000,
    50_000,
    75_000,
    99_000,
    149_000,
    150_000,
    225_000,
    350_000,
    499_000,
    750_000,
    1_250_000,
    3_500_000,
)
PRICE_SHARES = (6, 12, 10, 12, 14, 14, 10, 8, 7, 4, 2, 1)
IN_LAST_HALF_HOUR = 4  # payments a gateway reports one day late


@dataclass(frozen=True, slots=True)
class Plan:
    """One gateway: its letter in references, its share of the payments in percent, its fee in permille."""

    letter: str
    share: int
    fee_permille: int


GATEWAYS = {"gopay": Plan("G", 50, 20), "ovo": Plan("O", 30, 15), "linkaja": Plan("L", 20, 15)}


def chance(seed: int, *what: object) -> random.Random:
    """The dice of one purpose: the same seed and purpose always throw the same."""
    return random.Random(":".join(map(str, (seed, *what))))  # noqa: S311 - play money, no secret


def share(gateway: str, size: int) -> int:
    """How many of the day's `size` payments are this gateway's; the last gateway takes the rest."""
    return (
        size * GATEWAYS[gateway].share // 100 if gateway != "linkaja" else size - size // 2 - size * 30 // 100
    )


def reference(gateway: str, day: date, number: int, kind: str = "JB") -> str:
    """Our reference, `JB-20261124-G-000123`: the day within it makes it unique over all days."""
    return f"{kind}-{day:%Y%m%d}-{GATEWAYS[gateway].letter}-{number:06d}"


def gateway_reference(gateway: str, day: date, number: int) -> str:
    """The gateway's own id; it begins with the day, so that the status service knows which books to open."""
    tail = hashlib.sha256(f"{gateway}{day}{number}".encode()).hexdigest()
    if gateway == "gopay":  # Midtrans: a UUID
        return f"{day:%Y%m%d}-{tail[:4]}-4{tail[4:7]}-a{tail[7:10]}-{tail[10:22]}"
    if gateway == "ovo":  # DOKU: digits
        return f"{day:%Y%m%d}{number:08d}{int(tail[:8], 16):010d}"
    return f"{day:%Y%m%d}JBTNLINK{number:08d}{tail[:6].upper()}"  # NICEPAY: letters and digits


def ordinary(seed: int, gateway: str, day: date, size: int) -> list[Payment]:
    """The day's payments but those of `last_half_hour`, in the order of time; all paid."""
    dice = chance(seed, gateway, day)
    count = share(gateway, size) - IN_LAST_HALF_HOUR
    hours = dice.choices(range(24), HOURS, k=count)
    seconds = sorted(hour * 3600 + dice.randrange(3600) for hour in hours)
    return [
        _payment(dice, gateway, day, number, midnight(day) + timedelta(seconds=second))
        for number, second in enumerate(seconds, start=1)
    ]


def last_half_hour(seed: int, gateway: str, day: date, size: int) -> list[Payment]:
    """What a day's report lacks only because it was cut early: paid from 23:30:00 on, reported next day."""
    dice = chance(seed, gateway, day, "late")
    first = share(gateway, size) - IN_LAST_HALF_HOUR + 1
    seconds = [0, *sorted(dice.randrange(1, 1799) for _ in range(IN_LAST_HALF_HOUR - 1))]
    start = midnight(day) + timedelta(hours=23, minutes=30)
    return [
        _payment(dice, gateway, day, first + place, start + timedelta(seconds=second))
        for place, second in enumerate(seconds)
    ]


def _payment(dice: random.Random, gateway: str, day: date, number: int, paid_at: datetime) -> Payment:
    price = dice.choices(PRICES, PRICE_SHARES)[0]
    if dice.random() < 0.3:
        price += dice.randrange(1, 1000)  # "kode unik": three digits by which a payer is recognised
    return Payment(
        reference=reference(gateway, day, number),
        gateway=gateway,
        gateway_reference=gateway_reference(gateway, day, number),
        amount=price * 100,
        status="paid",
        created_at=paid_at - timedelta(seconds=dice.randrange(20, 840)),
        paid_at=paid_at,
    )

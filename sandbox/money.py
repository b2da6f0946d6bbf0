"""The gateways' money: whole sen (1 rupiah = 100 sen, as IDR has two decimals in ISO 4217)."""

import re

_PRINTED = re.compile(r"[0-9]{1,15}\.[0-9]{2}")


def printed(sen: int) -> str:
    """`15000050` → `150000.50`: two decimals, as Midtrans and SNAP print an amount."""
    return f"{sen // 100}.{sen % 100:02d}"


def readable(text: str) -> int | None:
    """The sen of a printed amount; None for what is no amount: a report's total leaves that out."""
    return int(text.replace(".", "")) if _PRINTED.fullmatch(text) else None


def fee(amount: int, permille: int) -> int:
    """The gateway's fee in sen of an amount in sen: rounded half up to whole rupiah."""
    return (amount * permille + 50_000) // 100_000 * 100

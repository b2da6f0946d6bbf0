"""The gateways' clock: WIB (Western Indonesia Time, UTC+7, no daylight saving); a business day is in WIB."""

from datetime import UTC, date, datetime, time, timedelta, timezone

WIB = timezone(timedelta(hours=7), "WIB")


def now() -> datetime:
    """The present moment in WIB."""
    return datetime.now(WIB)


def midnight(day: date) -> datetime:
    """First instant of the day in WIB."""
    return datetime.combine(day, time.min, WIB)


def is_over(day: date) -> bool:
    """Whether the day has ended in WIB: only then is there a report of it."""
    return now() >= midnight(day + timedelta(days=1))


def read_day(text: str) -> date | None:
    """The date of a plain `YYYY-MM-DD`, or None for anything else."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def read_moment(text: str) -> datetime | None:
    """The moment of an ISO 8601 text with offset or Z, or None for anything else, a naive time included."""
    try:
        moment = datetime.fromisoformat(text) if "T" in text else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def naive(moment: datetime) -> str:
    """`2026-11-24 10:15:00`: Midtrans prints WIB without offset (Midtrans Core API, formats)."""
    return f"{moment.astimezone(WIB):%Y-%m-%d %H:%M:%S}"


def iso(moment: datetime) -> str:
    """`2026-11-24T10:15:00+07:00`: the form of SNAP and of the canonical CSV."""
    return moment.astimezone(WIB).isoformat(timespec="seconds")

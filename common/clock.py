"""Time: aware UTC inside, the business day in Asia/Jakarta (WIB, no daylight saving)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

JAKARTA = ZoneInfo("Asia/Jakarta")
# What a moment may differ from UTC, as a pattern: PostgreSQL knows no more, no place on Earth as much.
OFFSET = r"(Z|[+-](0[0-9]|1[0-5]):[0-5][0-9])"
MOMENT = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?{OFFSET}"


def now() -> datetime:
    """The present moment, aware, in UTC: the only source of time in the project."""
    return datetime.now(UTC)


def business_date(at: datetime) -> date:
    """The business day (WIB, midnight to midnight) on which the moment `at` falls."""
    return at.astimezone(JAKARTA).date()


def in_jakarta(at: datetime) -> datetime:
    """That moment in Jakarta; at the very ends of the calendar, which others write for "never", as it is."""
    try:
        return at.astimezone(JAKARTA)
    except OverflowError:
        return at


def yesterday(at: datetime | None = None) -> date:
    """The business day before the one of `at` (default: now)."""
    return business_date(at or now()) - timedelta(days=1)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """First instant of the business day, and first instant of the next one, in UTC."""
    start = datetime.combine(day, time.min, JAKARTA)
    return start.astimezone(UTC), (start + timedelta(days=1)).astimezone(UTC)

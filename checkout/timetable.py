"""When a gateway is asked about a payment: as soon as it allows, then in growing gaps, beyond its end."""

from datetime import datetime, timedelta

# While a payer may still pay, a lost notification must be healed within two minutes. The sweep comes once a
# minute, so every sweep has to find the payment due.
SHORTEST, WHILE_FRESH = timedelta(seconds=10), timedelta(seconds=30)
FRESH = timedelta(hours=2)
LATER = timedelta(minutes=10)
BEYOND = timedelta(hours=1)
# What the gateway has not decided a day after its end is over: we stop waiting, and say so.
OVER = timedelta(days=1)
# A charge may reach the gateway after we have lost the connection: what it does not know right after the
# end may still turn up.
ARRIVAL_GRACE = timedelta(minutes=2)
# What a process says while it waits for the bank.
NOT_MOVED_YET = {
    "type": "not-moved-yet",
    "message": "The gateway has taken the refund; the bank has not moved the money yet",
}
# A refund is followed as long as its key means the same refund to the gateway. Source: Midtrans, Refund.
FOLLOWED_FOR = timedelta(days=7)
SOONEST_AFTER_REFUND, LATEST_AFTER_REFUND = timedelta(seconds=20), timedelta(hours=1)
# What the gateway has taken it tells us of as soon as the bank has moved it, within seconds mostly.
ACCEPTED_LOOKED_AT = timedelta(minutes=2)
# Somebody has to fill the merchant's balance: minutes do not matter, and a worker is not held.
BALANCE_LOOKED_AT = timedelta(minutes=30)
# A call that lost its answer has reached the gateway by then, or never will.
IN_FLIGHT = timedelta(minutes=10)


def next_question(
    now: datetime, created_at: datetime, expires_at: datetime | None, first_after: timedelta
) -> datetime:
    """When to ask next, for a payment that is open at `now`.

    first_after: how long the gateway wants to be left alone at first. A payment without an end (taken over
    from another ledger) is asked about as if it ended an hour after its creation.
    """
    first = created_at + max(first_after, SHORTEST)
    if now < first:
        return first
    end = expires_at or created_at + timedelta(hours=1)
    if now >= end + ARRIVAL_GRACE:
        return now + _between((now - end) / 2, timedelta(minutes=1), BEYOND)
    age = now - created_at
    gap = _between(age / 4, SHORTEST, WHILE_FRESH)
    return now + (gap if age < FRESH else _between(age / 60, WHILE_FRESH, LATER))


def next_look_at_refund(now: datetime, since: datetime) -> datetime:
    """When to ask next for a refund that has not ended, sent at `since`: in growing gaps, hourly at last. The
    gateway's notification is faster nearly always."""
    return now + _between((now - since) / 2, SOONEST_AFTER_REFUND, LATEST_AFTER_REFUND)


def _between(value: timedelta, least: timedelta, most: timedelta) -> timedelta:
    return max(least, min(value, most))

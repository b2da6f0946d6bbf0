"""The bare gateway call: the adapter's own `create_charge` from a plain process, no API and no database.

Reads references and arrival times from standard input, and writes the latency of each call and by how much it
came late to the arrival itself.
"""

import json
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from itertools import count

from benchmarks.payments.stage import AMOUNT_MINOR
from common import clock
from common.settings import settings
from providers.base import ChargeOrder, Gateway, Learner
from providers.payments import open_gateway

AT_ONCE = 48  # as our API has charges under way at one gateway
WARM_UP = 20


def main() -> None:
    """Call at the times of the plan; who finds no free thread waits, and that counts."""
    plan = json.load(sys.stdin)
    opened = open_gateway("gopay")
    numbers = count(time.time_ns())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: _charge(opened, f"WARM-{next(numbers)}", next(numbers)), range(WARM_UP)))
        start = time.perf_counter()
        calls: list[Future[float]] = []
        late: list[float] = []
        for reference, after in zip(plan["references"], plan["arrivals"], strict=True):
            time.sleep(max(0.0, start + after - time.perf_counter()))
            late.append(time.perf_counter() - start - after)
            calls.append(pool.submit(_timed, opened, reference, next(numbers), start + after))
        json.dump({"latencies": [call.result() for call in calls], "late": late}, sys.stdout)
    opened.close()


def _timed(opened: Gateway, reference: str, number: int, arrived: float) -> float:
    _charge(opened, reference, number)
    return time.perf_counter() - arrived


def _charge(opened: Gateway, reference: str, number: int) -> None:
    now = clock.now()
    charge = opened.create_charge(
        ChargeOrder(
            reference=reference,
            external_id=str(number),
            amount_minor=AMOUNT_MINOR,
            currency="IDR",
            description="Welding, level II",
            created_at=now,
            expires_at=now + timedelta(minutes=15),
            return_url="https://platform.example/orders/1",
            notify_url=settings().page_url("/api/v1/payments/callback/gopay"),
            learner=Learner("learner-1", "Siti Rahma", "siti@example.id", "081234567890"),
        )
    )
    assert charge.state == "pending"


if __name__ == "__main__":
    main()

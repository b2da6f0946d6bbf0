"""A charge through our API against the bare gateway call, in turns of a few seconds, both in open loop.

What is added is the difference of their percentiles. Each turn has its own arrivals, which know nothing of
one another; whoever comes while others are served waits, and that counts. A second turn of ours has the
gateway tell us of each charge at once, as Midtrans does: what the sandbox needs to send, and we to take in,
is then done by the same cores. How late the load makers themselves were is told apart; it is in both sides.
"""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from benchmarks.payments.load import ROOT, Answers, Plan, arrivals, percentile, request, send
from benchmarks.payments.stage import (
    AMOUNT_MINOR,
    Cores,
    Stage,
    WrongAnswer,
    check,
    stage,
    stolen,
    wait_until,
)

RATE = 100.0
TURN = 500  # requests
TURNS = 4
CONNECTIONS = 64
PATH = "/api/v1/payments/create"


@dataclass
class Round:
    """Latencies of one round in seconds, all turns together, and how busy the cores were in our turns."""

    bare: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)  # ours, with notifications meanwhile
    cores: list[tuple[float, float]] = field(default_factory=list)
    bare_late: list[float] = field(default_factory=list)  # what of the latencies is the load maker's own
    ours_late: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)  # seconds of the API for each charge, of each turn
    stolen: float = 0.0  # seconds that the machine's host gave to others in the turns of ours

    @property
    def processor_ms(self) -> float:
        """What the API needs of the processor for a charge, of the turns without notifications."""
        return 1000 * median(self.processor)

    def added(self, share: float) -> float:
        """Milliseconds that our API adds at a percentile."""
        return percentile(self.ours, share) - percentile(self.bare, share)

    def added_when_told(self, share: float) -> float:
        """The same while the gateway tells us of each charge."""
        return percentile(self.told, share) - percentile(self.bare, share)

    @property
    def others(self) -> float:
        """Cores that other work on the machine kept busy meanwhile."""
        return median(others for _, others in self.cores)


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    return percentile(seconds, 0.5), percentile(seconds, 0.99)


def measure(folder: Path, rounds: int) -> list[Round]:
    """Each round on the same stage, after a turn of each that is not timed. Raises WrongAnswer."""
    with stage(folder, api=True) as on:
        _turn(on, "W", Round())
        made = []
        for number in range(rounds):
            result = Round()
            for turn in range(TURNS):
                _turn(on, f"{number}-{turn}", result)
            made.append(result)
        _check_books(on, 2 * (rounds * TURNS + 1) * TURN)
    return made


def _turn(on: Stage, name: str, result: Round) -> None:
    """The bare calls, then ours without and with notifications, by equal timetables."""
    times = arrivals(RATE, TURN, f"create {name}")
    on.notify("gopay", "never")
    bare = _bare(name, times)
    result.bare += bare["latencies"]
    result.bare_late += bare["late"]
    before, stolen_before = _processor_of_api(), stolen()
    answers = _created(on, name, times, result)
    result.stolen += stolen() - stolen_before
    result.processor.append((_processor_of_api() - before) / TURN)
    result.ours += answers.latencies
    result.ours_late += answers.late
    on.notify("gopay", "at_once")
    result.told += _created(on, f"{name}-TOLD", times, result).latencies
    wait_until(
        lambda: on.scalar("SELECT count(*) FROM notifications WHERE state = 'received'") == 0, "the desk"
    )


def _processor_of_api() -> float:
    """Seconds of the processor that the API has used so far, with all that works beside its requests."""
    for process in psutil.Process().children(recursive=True):
        if "api.app:app" in process.cmdline():
            spent = process.cpu_times()
            return spent.user + spent.system
    raise WrongAnswer("the API does not run")


def _created(on: Stage, name: str, times: list[float], result: Round) -> Answers:
    cores = Cores()
    answers = _ours(on, name, times)
    result.cores.append(cores.look())
    check(answers.count(201) == TURN, f"not all of {TURN} were created: {dict(Counter(answers.statuses))}")
    return answers


def _ours(on: Stage, name: str, times: list[float]) -> Answers:
    assert on.api_port is not None
    headers = [("Authorization", f"Bearer {on.api_key}"), ("Content-Type", "application/json")]
    orders = [
        request("POST", PATH, json.dumps(order(f"OURS-{name}-{one}")).encode(), headers)
        for one in range(TURN)
    ]
    return send(Plan(on.api_port, orders, CONNECTIONS, times))


def _bare(name: str, times: list[float]) -> dict[str, list[float]]:
    plan = {"references": [f"BARE-{name}-{one}" for one in range(TURN)], "arrivals": times}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.payments.bare_calls"],
        input=json.dumps(plan),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    said: dict[str, list[float]] = json.loads(done.stdout)
    return said


def order(reference: str) -> dict[str, object]:
    """A request for a payment."""
    return {
        "reference": reference,
        "gateway": "gopay",
        "amount": AMOUNT_MINOR // 100,
        "currency": "IDR",
        "learner": {
            "id": f"learner-{reference}",
            "name": "Siti Rahma",
            "email": "siti@example.id",
            "phone": "081234567890",
        },
        "description": "Welding, level II",
        "return_url": "https://platform.example/orders/1",
    }


def _check_books(on: Stage, count: int) -> None:
    """Every payment is pending here, and has exactly one charge there."""
    charges = on.sandbox.get("/_sandbox/payments", params={"gateway": "gopay"}).raise_for_status().json()
    ours = [one for one in charges if one["reference"].startswith("OURS-")]
    check(len(ours) == count, f"the gateway has {len(ours)} charges of {count} payments")
    check(all(one["charges"] == 1 for one in charges), "the gateway has two charges of one payment")
    check(
        {one["gateway_reference"] for one in ours} == _pending(on),
        "the pending payments of the ledger are not the charges of the gateway",
    )


def _pending(on: Stage) -> set[str]:
    listed = on.scalar("SELECT string_agg(gateway_reference, ' ') FROM payments WHERE status = 'pending'")
    return set((listed or "").split())

"""Rightly signed notifications of many payments: our API with its desk at work, against the bare peer.

Each round sends the same messages to both. Closed loop: as fast as answers come, for throughput. Open loop:
1,000 a second whatever happens, for the time until the answer. Then one event over and over. Before the next
measurement the desk works off what waits, and that is timed as well.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from benchmarks.payments import messages
from benchmarks.payments.load import ROOT, Answers, Plan, arrivals, send
from benchmarks.payments.peer import TABLE
from benchmarks.payments.stage import Cores, Stage, UnderWay, check, put_into_ledger, stage, wait_until
from jembatan.stack.addresses import HOST, Ports

MESSAGES = 3_000  # of each measurement, half as many payments: each is worked before the next measurement
RATE = 1_000.0
OPEN = 3_000
CONNECTIONS = 32
OPEN_CONNECTIONS = 128
WARM_UP = 500


@dataclass(frozen=True)
class Run:
    """One measurement of our API. worked: messages that the desk dealt with meanwhile; rest_seconds: what it
    then took for the rest; accepted, stored, unique: messages answered with 200, kept, different."""

    answers: Answers
    accepted: int
    stored: int
    unique: int
    worked: int
    rest_seconds: float
    others: float


@dataclass
class Round:
    """All measurements of one round of one form of messages."""

    ours: Run
    peer: Answers
    open_ours: Run
    open_peer: Answers
    storm: Run

    @property
    def share(self) -> float:
        """Our requests a second over the peer's."""
        return self.ours.answers.per_second / self.peer.per_second

    @property
    def storm_share(self) -> float:
        """Requests a second of one repeated event over those of different ones."""
        return self.storm.answers.per_second / self.ours.answers.per_second


def measure(folder: Path, rounds: int) -> dict[str, list[Round]]:
    """Rounds of each gateway's form, all on one stage. Raises WrongAnswer."""
    count = WARM_UP + rounds * (MESSAGES + OPEN) // messages.PER_PAYMENT + rounds
    payments = {
        gateway: [UnderWay(gateway, f"N-{gateway}-{number}", is_paid=True) for number in range(count)]
        for gateway in messages.GATEWAYS
    }
    everything = [one for some in payments.values() for one in some]
    with stage(folder, api=True, at_sandbox=everything) as on, _peer(on) as peer_port:
        put_into_ledger(on.client_id, everything)
        return {gateway: _rounds(on, peer_port, gateway, some, rounds) for gateway, some in payments.items()}


def _rounds(on: Stage, peer_port: int, gateway: str, payments: list[UnderWay], rounds: int) -> list[Round]:
    """The same messages to the peer and to us, after some that are not timed."""
    left = iter(payments)
    _ours(on, gateway, [next(left) for _ in range(WARM_UP // 2)])
    _send(peer_port, messages.of(gateway, [next(left) for _ in range(WARM_UP // 2)]))
    made = []
    for _ in range(rounds):
        some = [next(left) for _ in range(MESSAGES // messages.PER_PAYMENT)]
        more = [next(left) for _ in range(OPEN // messages.PER_PAYMENT)]
        made.append(
            Round(
                peer=_send(peer_port, messages.of(gateway, some)),
                ours=_ours(on, gateway, some),
                open_peer=_send(peer_port, messages.of(gateway, more), RATE),
                open_ours=_ours(on, gateway, more, RATE),
                storm=_ours(on, gateway, [next(left)], copies=MESSAGES),
            )
        )
    return made


def _ours(
    on: Stage, gateway: str, payments: list[UnderWay], rate: float | None = None, copies: int = 1
) -> Run:
    """Send to our API, count what is stored, and wait until the desk has worked all of it."""
    assert on.api_port is not None
    sent = messages.of(gateway, payments)[-len(payments) :] if copies > 1 else messages.of(gateway, payments)
    cores = Cores()
    answers = _send(on.api_port, sent * copies, rate)
    _, others = cores.look()
    waiting = "SELECT count(*) FROM notifications WHERE state = 'received'"
    worked = len(sent) - on.scalar(waiting)
    rest = wait_until(lambda: on.scalar(waiting) == 0, "the desk")
    references = [one.reference for one in payments]
    stored = on.scalar("SELECT count(*) FROM notifications WHERE reference = ANY(%s)", references)
    paid = on.scalar(
        "SELECT count(*) FROM payments WHERE status = 'paid' AND reference = ANY(%s)", references
    )
    check(paid == len(payments), f"{paid:,} of {len(payments):,} payments became paid")
    accepted, unique = answers.count(200), len(set(sent))
    check(accepted == len(sent) * copies, f"{accepted:,} of {len(sent) * copies:,} messages were accepted")
    check(stored == unique, f"{stored:,} messages are stored of {unique:,} different ones")
    return Run(answers, accepted, stored, unique, worked, rest, others)


def _send(port: int, requests: list[str], rate: float | None = None) -> Answers:
    if rate is None:
        return send(Plan(port, requests, CONNECTIONS))
    return send(Plan(port, requests, OPEN_CONNECTIONS, arrivals(rate, len(requests), "intake")))


@contextmanager
def _peer(on: Stage) -> Iterator[int]:
    """The peer in a process of its own, served as our API is: uvicorn, uvloop, httptools, one worker."""
    with psycopg.connect(on.database_url, autocommit=True) as db:
        db.execute(TABLE)
    ports = Ports()
    port = ports.claim(8500)
    arguments = ["benchmarks.payments.peer:app", "--host", HOST, "--port", str(port), "--no-access-log"]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *arguments, "--log-level", "warning"], cwd=ROOT, env=os.environ
    )
    try:
        wait_until(lambda: _answers(port), "the peer", 30)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        ports.release()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://{HOST}:{port}/").status_code == 404
    except httpx.TransportError:
        return False

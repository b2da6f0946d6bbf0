"""The load maker: sends prepared requests over HTTP/1.1 from a process of its own, and times each answer.

A plain protocol on uvloop and httptools, a few tens of microseconds a request, so that it is not what is
measured. `python -m benchmarks.payments.load` reads its plan from standard input.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

import httptools
import uvloop

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Plan:
    """What to send where. arrivals: seconds after the start at which each request comes in (open loop);
    without them each connection sends its next request as soon as it has its answer (closed loop)."""

    port: int
    requests: Sequence[str]
    connections: int
    arrivals: Sequence[float] | None = None


@dataclass(frozen=True)
class Answers:
    """What came of a plan, in its order. latencies: seconds from the arrival (open loop, so that waiting for
    a connection counts) or from the sending (closed loop); seconds: from the start to the last answer.
    late: by how much the load maker itself came late to each arrival (open loop), which is in the latency."""

    seconds: float
    statuses: list[int]
    latencies: list[float]
    late: list[float]

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return len(self.statuses) / self.seconds

    def count(self, status: int) -> int:
        """How many answers had that status."""
        return Counter(self.statuses)[status]

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that this share of the requests kept within."""
        return percentile(self.latencies, share)


def percentile(seconds: Sequence[float], share: float) -> float:
    """In milliseconds; the smallest value that at least this share of all does not exceed."""
    ordered = sorted(seconds)
    return 1000 * ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def arrivals(rate: float, count: int, seed: str) -> list[float]:
    """When requests arrive that know nothing of each other: `rate` a second on average, exponential gaps."""
    rng = random.Random(seed)
    return list(accumulate(rng.expovariate(rate) for _ in range(count)))


def request(method: str, path: str, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> str:
    """One request, ready to be sent."""
    given = [("Host", "127.0.0.1"), ("Content-Length", str(len(body))), *headers]
    head = "".join(f"{name}: {value}\r\n" for name, value in given)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n{body.decode()}"


def send(plan: Plan) -> Answers:
    """Carry out a plan in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.payments.load"],
        input=json.dumps(asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return Answers(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way."""

    def __init__(self, maker: "_Maker") -> None:
        self._maker = maker
        self.number = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def send(self, number: int) -> None:
        """Send the request of that number."""
        self.number = number
        self._transport.write(self._maker.requests[number])  # type: ignore[attr-defined]  # TCP can write

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Called by the parser when an answer is whole."""
        self._maker.answered(self, self._parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        self._maker.lost(self)


class _Maker:
    """Gives each request to a free connection; those that find none wait in their order."""

    def __init__(self, plan: Plan) -> None:
        self.requests = [one.encode() for one in plan.requests]
        self._plan = plan
        self._arrived = [0.0] * len(self.requests)
        self._latencies = [0.0] * len(self.requests)
        self._late = [0.0] * len(self.requests)
        self._statuses = [0] * len(self.requests)
        self._open = len(self.requests)
        self._waiting = deque[int]()
        self._idle: list[_Connection] = []
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()

    async def run(self) -> Answers:
        """Connect, then send with the clock running."""
        for _ in range(self._plan.connections):
            await self._connect()
        start = time.perf_counter()
        if self._plan.arrivals is None:
            self._waiting.extend(range(len(self.requests)))
            while self._idle and self._waiting:
                self._send(self._idle.pop())
        else:
            for number, after in enumerate(self._plan.arrivals):
                self._arrived[number] = start + after
                self._loop.call_at(
                    self._loop.time() + start + after - time.perf_counter(), self._arrive, number
                )
        await self._done
        return Answers(time.perf_counter() - start, self._statuses, self._latencies, self._late)

    def answered(self, connection: _Connection, status: int) -> None:
        """Note an answer, and use the connection for what waits."""
        number = connection.number
        connection.number = -1
        self._latencies[number] = time.perf_counter() - self._arrived[number]
        self._statuses[number] = status
        self._open -= 1
        self._free(connection)
        if not self._open and not self._done.done():
            self._done.set_result(None)

    def lost(self, connection: _Connection) -> None:
        """Servers close what was idle for a while, and another takes its place; in the middle of a request
        it spoils the measurement."""
        if self._done.done():
            return
        if connection.number >= 0:
            self._done.set_exception(ConnectionError("the server hung up on a request"))
            return
        self._idle.remove(connection)
        self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        _, connection = await self._loop.create_connection(
            lambda: _Connection(self), "127.0.0.1", self._plan.port
        )
        self._free(connection)

    def _free(self, connection: _Connection) -> None:
        if self._waiting:
            self._send(connection)
        else:
            self._idle.append(connection)

    def _arrive(self, number: int) -> None:
        self._late[number] = time.perf_counter() - self._arrived[number]
        self._waiting.append(number)
        if self._idle:
            self._send(self._idle.pop())

    def _send(self, connection: _Connection) -> None:
        number = self._waiting.popleft()
        if self._plan.arrivals is None:
            self._arrived[number] = time.perf_counter()
        connection.send(number)


def _main() -> None:
    plan = Plan(**json.load(sys.stdin))

    async def work() -> Answers:
        return await _Maker(plan).run()

    json.dump(asdict(uvloop.run(work())), sys.stdout)


if __name__ == "__main__":
    _main()

"""Notifications to the merchant: really sent, really signed, tried again, and as untidy as one wants them.

A body is made when something happens, a signature when it is sent. Used on the event loop only.
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, Field

from sandbox.live import Charge
from sandbox.model import STATES, State
from sandbox.wib import iso, now

Gateway = Literal["gopay", "ovo", "linkaja"]
Mode = Literal["at_once", "late", "twice", "times", "out_of_order", "never"]
_STATES: dict[str, State] = {"paid": "settled", **{one: one for one in STATES if one != "unknown"}}
_SETTLED = frozenset({"settled", "partially_refunded", "refunded", "reversed"})
KEPT = 10_000  # entries of the log
MOST_REDIRECTS = 5
IDLE = 3  # connections kept for the next try
AT_ONCE = 20  # tries under way; the others wait here, as a long queue within httpx costs it quadratic time


class Habit(BaseModel, extra="forbid"):
    """How a gateway notifies.

    seconds: of `late`, how late; of `out_of_order`, how long the first waits for a second that overtakes it.
    pauses: between the tries of one notification, the last one for all further tries. answer_within: seconds
    after which the merchant's answer is not waited for any longer.
    """

    gateway: Gateway
    mode: Mode = "at_once"
    seconds: float = Field(default=1.0, ge=0, le=3600)
    times: int = Field(default=3, ge=1, le=100)
    pauses: tuple[float, ...] = Field(default=(0.5, 1, 2, 4, 8), min_length=1)
    answer_within: float = Field(default=15.0, gt=0, le=60)


class Odd(BaseModel, extra="forbid"):
    """What to change in a message before it is signed.

    state: one of the sandbox's states (or `paid`): the message is that of a charge in this state; any other
    text is put as the gateway's own word. timestamp: X-TIMESTAMP, or Midtrans' transaction_time. fields:
    further members by name, null takes one away. body: sent as it stands instead of any members (Midtrans'
    signature is then up to the caller).
    """

    state: str | None = None
    reference: str | None = None
    gateway_reference: str | None = None
    amount: str | None = None
    currency: str | None = None
    merchant: str | None = None
    timestamp: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)
    body: str | None = None

    @property
    def word(self) -> str | None:
        """The gateway's own word that is wanted, if one is."""
        return None if _STATES.get(self.state or "") else self.state

    def of(self, charge: Charge) -> Charge:
        """The charge as it would be in the state that is wanted."""
        state = _STATES.get(self.state or "")
        if state is None:
            return charge
        moment = now()
        return replace(
            charge,
            state=state,
            settled_at=(charge.settled_at or moment) if state in _SETTLED else None,
            closed_at=None if state == "pending" else charge.closed_at or moment,
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification. word: the state that it tells; serial: its X-EXTERNAL-ID, the same at each try."""

    gateway: str
    profile: str
    reference: str
    word: str
    url: str
    body: bytes
    serial: str
    timestamp: str | None = None

    @property
    def path(self) -> str:
        """Full path of the merchant's address, with its query: what is signed."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


@dataclass(slots=True)
class Sent:
    """One try, and what the merchant answered. status: None without an answer; error says why."""

    gateway: str
    profile: str
    reference: str
    word: str
    url: str
    serial: str
    attempt: int
    sent_at: str
    accepted: bool
    status: int | None
    body: str
    error: str
    milliseconds: int


class NoToken(Exception):
    """The merchant gave no token to sign with."""


class Voice(Protocol):
    """How one aggregator words and signs its notifications."""

    @property
    def follows_redirects(self) -> bool:
        """Whether 307 and 308 lead to another address."""
        ...

    def notices(self, charge: Charge, odd: Odd | None = None) -> list[Notice]:
        """The notifications of a charge as it is now, one for each address; none if it tells nothing."""
        ...

    async def headers(self, notice: Notice, client: httpx.AsyncClient) -> dict[str, str]:
        """The headers to send, with the signature of this moment; raises NoToken."""
        ...

    def is_accepted(self, answer: httpx.Response) -> bool:
        """Whether the merchant has taken it."""
        ...

    def tries_after(self, status: int | None) -> int:
        """How often it is tried again after such an answer; None: there was no answer."""
        ...


@dataclass
class Notifier:
    """Sends what `tell` is told. voices: by gateway and profile."""

    voices: dict[tuple[str, str], Voice]
    habits: dict[str, Habit] = field(default_factory=dict)
    log: deque[Sent] = field(default_factory=lambda: deque(maxlen=KEPT))
    _transport: httpx.AsyncHTTPTransport | None = None
    _client: httpx.AsyncClient | None = None
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _held: dict[str, list[Notice]] = field(default_factory=dict)

    def tell(self, charge: Charge) -> None:
        """Something happened to the charge: notify it, in the way that the gateway has at present."""
        habit = self.habit(charge.gateway)
        notices = [] if habit.mode == "never" else self.voice(charge).notices(charge)
        if not notices:
            return
        match habit.mode:
            case "late":
                self._start(self._after(habit.seconds, notices))
            case "twice" | "times":
                for _ in range(2 if habit.mode == "twice" else habit.times):
                    self._start(self.send(notices))
            case "out_of_order" if charge.id in self._held:
                self._start(self._one_by_one([*notices, *self._held.pop(charge.id)]))
            case "out_of_order":
                self._held[charge.id] = notices
                self._start(self._release(charge.id, habit.seconds))
            case _:
                self._start(self.send(notices))

    def habit(self, gateway: str) -> Habit:
        """How the gateway notifies at present."""
        return self.habits.get(gateway) or Habit.model_validate({"gateway": gateway})

    def voice(self, charge: Charge) -> Voice:
        """How notifications of this charge are worded and signed."""
        return self.voices[charge.gateway, charge.profile]

    async def signed(self, notice: Notice) -> dict[str, str]:
        """The headers of a notice, signed now; raises NoToken."""
        return await self.voices[notice.gateway, notice.profile].headers(notice, self._http())

    async def send(self, notices: list[Notice]) -> None:
        """Send to every address at once, again and again as far as the gateway does so."""
        await asyncio.gather(*(self._deliver(notice) for notice in notices))

    async def attempt(self, notice: Notice, number: int = 1) -> Sent:
        """Send once, and note what came of it."""
        async with self._slots:
            return await self._attempt(notice, number)

    async def _attempt(self, notice: Notice, number: int) -> Sent:
        voice, habit = self.voices[notice.gateway, notice.profile], self.habit(notice.gateway)
        begun, sent_at = time.perf_counter(), iso(now())
        status, body, error, accepted = None, "", "", False
        try:
            async with asyncio.timeout(habit.answer_within):
                answer = await self._post(notice, await voice.headers(notice, self._http()), voice)
            status, body, accepted = answer.status_code, answer.text[:4_000], voice.is_accepted(answer)
        except NoToken as problem:
            error = str(problem)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as problem:
            error = type(problem).__name__
        sent = Sent(
            notice.gateway,
            notice.profile,
            notice.reference,
            notice.word,
            notice.url,
            notice.serial,
            number,
            sent_at,
            accepted,
            status,
            body,
            error,
            round((time.perf_counter() - begun) * 1000),
        )
        self.log.append(sent)
        return sent

    async def close(self) -> None:
        """Stop sending: the sandbox ends."""
        for task in self._under_way:
            task.cancel()
        if self._client:
            await self._client.aclose()

    async def _deliver(self, notice: Notice) -> None:
        pauses = self.habit(notice.gateway).pauses
        number = 1
        while True:
            sent = await self.attempt(notice, number)
            if sent.accepted or number > self.voices[notice.gateway, notice.profile].tries_after(sent.status):
                return
            await asyncio.sleep(pauses[min(number, len(pauses)) - 1])
            number += 1

    async def _post(self, notice: Notice, headers: dict[str, str], voice: Voice) -> httpx.Response:
        """By the transport itself: cookies, authentication and the like take a client a third of the time.

        It has no time-outs of its own here: `answer_within` holds for the whole try.
        """
        url = httpx.URL(notice.url)
        for _ in range(MOST_REDIRECTS + 1):
            answer = await self._sent(httpx.Request("POST", url, content=notice.body, headers=headers))
            elsewhere = answer.headers.get("location")
            if not (voice.follows_redirects and answer.status_code in (307, 308) and elsewhere):
                break
            url = url.join(elsewhere)
        return answer

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        self._http()
        assert self._transport is not None
        answer = await self._transport.handle_async_request(request)
        try:
            await answer.aread()
        finally:
            await answer.aclose()
        return answer

    async def _after(self, seconds: float, notices: list[Notice]) -> None:
        await asyncio.sleep(seconds)
        await self.send(notices)

    async def _one_by_one(self, notices: list[Notice]) -> None:
        for notice in notices:
            await self._deliver(notice)

    async def _release(self, charge_id: str, seconds: float) -> None:
        """Nothing has overtaken it: send what was held."""
        await asyncio.sleep(seconds)
        if notices := self._held.pop(charge_id, None):
            await self.send(notices)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    def _http(self) -> httpx.AsyncClient:
        """Asks no proxy: the merchant is on this machine."""
        if self._client is None:
            self._transport = httpx.AsyncHTTPTransport(
                trust_env=False,
                # Each request looks at every idle connection, which takes longer than to send it.
                limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=IDLE),
            )
            self._client = httpx.AsyncClient(transport=self._transport, timeout=60.0)
        return self._client

"""The stage of each benchmark: PostgreSQL, the sandbox, the API, an API key, and payments that are under way.

Payments are put into the ledger and into the sandbox's journal at once, as if each had been charged a few
minutes ago; the sandbox reads its journal when it starts.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import httpx
import psutil
import psycopg

from common import clock
from common.settings import GATEWAYS, settings
from jembatan.stack import stack
from records import client as clients
from records.db import connection, unit_of_work

PROFILES = {"gopay": "midtrans", "ovo": "doku"}
AMOUNT_MINOR = 15_000_000
_NAMES = UUID("7d3c1a52-6a5e-4f0e-9e7a-2f5b0c1d8e94")  # any one: gateway references are made of it
_AGO = timedelta(minutes=5)
_LIVES = timedelta(hours=6)  # longer than any benchmark: nothing expires meanwhile


class WrongAnswer(Exception):
    """What was measured did not do its work rightly."""


def check(is_right: bool, what: str) -> None:
    """End the run where an answer is wrong."""
    if not is_right:
        raise WrongAnswer(what)


@dataclass(frozen=True)
class UnderWay:
    """A payment that was charged a few minutes ago. is_paid: at the sandbox, and not yet with us."""

    gateway: str
    reference: str
    is_paid: bool

    @property
    def gateway_reference(self) -> str:
        return str(uuid5(_NAMES, self.reference))


@dataclass(frozen=True)
class Stage:
    """Where everything is, while it runs."""

    database_url: str
    sandbox: httpx.Client
    sandbox_port: int
    client_id: UUID
    api_key: str
    api_port: int | None = None

    def calls(self, gateway: str, operation: str) -> int:
        """How often the sandbox was called so far."""
        return int(self.sandbox.get("/_sandbox/calls").raise_for_status().json()[gateway][operation])

    def notify(self, gateway: str, mode: str) -> None:
        """Set how the sandbox notifies."""
        body = {"gateway": gateway, "mode": mode}
        self.sandbox.post("/_sandbox/notifications", json=body).raise_for_status()

    def scalar(self, query: str, *values: Any) -> Any:
        """One value out of the database."""
        with psycopg.connect(self.database_url) as db:
            row = db.execute(query.encode(), values).fetchone()
            return row[0] if row else None


@contextmanager
def stage(folder: Path, *, api: bool, at_sandbox: Iterable[UnderWay] = ()) -> Iterator[Stage]:
    """Everything in `folder`, with no gateway's pace in the way; `at_sandbox`: charges that it knows."""
    home = folder / "home"
    home.mkdir(parents=True)
    write_journal(home / "sandbox-journal.jsonl", at_sandbox)
    os.environ["JEMBATAN_HOME"] = str(home)
    os.environ["JEMBATAN_API_PORT"] = "8470"  # not the default one, where the sandboxes of others may call
    os.environ["JEMBATAN_SANDBOX_PORT"] = "8480"
    os.environ["JEMBATAN_CATCH_UP_DAYS"] = "0"  # no night was missed in a database of today
    for gateway in GATEWAYS:
        os.environ[f"JEMBATAN_{gateway.upper()}__RATE"] = "1000000"
    settings.cache_clear()
    with stack(sandbox=True, api=api) as running:
        with unit_of_work() as session:
            client, key = clients.create(session, "benchmark", ["*"], rate_per_minute=1_000_000)
        sandbox_url = running.sandbox_url or ""
        with httpx.Client(base_url=sandbox_url, timeout=60) as sandbox:
            yield Stage(
                running.database_url,
                sandbox,
                urlsplit(sandbox_url).port or 0,
                client.id,
                key.text,
                urlsplit(running.api_url or "").port,
            )


def write_journal(path: Path, charges: Iterable[UnderWay]) -> None:
    """The sandbox's own record of each charge, in the form of its journal (sandbox/journal.py)."""
    now = clock.now()
    with path.open("w", encoding="utf-8") as journal:
        for one in charges:
            charge = {
                "gateway": one.gateway,
                "profile": PROFILES[one.gateway],
                "reference": one.reference,
                "gateway_reference": one.gateway_reference,
                "amount": AMOUNT_MINOR,
                "created_at": (now - _AGO).isoformat(),
                "expires_at": (now + _LIVES).isoformat(),
                "id": one.gateway_reference,
                "state": "settled" if one.is_paid else "pending",
                "settled_at": now.isoformat() if one.is_paid else None,
                "closed_at": now.isoformat() if one.is_paid else None,
                "payment_type": one.gateway,
                "refunds": [],
            }
            journal.write(json.dumps(charge) + "\n")


def put_into_ledger(client_id: UUID, payments: Sequence[UnderWay]) -> None:
    """Pending payments of the client, each to be asked about now."""
    now = clock.now()
    columns = (
        "reference, gateway, gateway_reference, amount_minor, currency, status, created_at, client_id,"
        " learner_id, description, external_id, actions, expires_at, next_status_at"
    )
    with connection() as db, db.cursor() as cursor:
        with cursor.copy(f"COPY payments ({columns}) FROM STDIN".encode()) as copy:
            for number, one in enumerate(payments):
                copy.write_row(
                    [
                        one.reference,
                        one.gateway,
                        one.gateway_reference,
                        AMOUNT_MINOR,
                        "IDR",
                        "pending",
                        now - _AGO,
                        client_id,
                        f"learner-{number}",
                        "Welding, level II",
                        f"{number + 1:032d}",
                        "[]",
                        now + _LIVES,
                        now,
                    ]
                )
        db.commit()
        db.autocommit = True
        db.execute("ANALYZE payments")


def wait_until(look: Callable[[], bool], what: str, seconds: float = 300) -> float:
    """Wait until it is so; gives back the seconds that it took."""
    start = time.monotonic()
    while not look():
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.05)
    return time.monotonic() - start


def stolen() -> float:
    """Seconds of the cores that the machine's host has given to others so far; 0 where nobody counts."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


class Cores:
    """How busy the machine's cores are with us and with others, from one look to the next."""

    def __init__(self) -> None:
        self._all, self._ours, self._at = self._now()

    def look(self) -> tuple[float, float]:
        """Cores that our processes kept busy since the last look, and those that others did."""
        everything, ours, at = self._now()
        seconds = at - self._at
        busy = (ours - self._ours) / seconds, (everything - self._all - ours + self._ours) / seconds
        self._all, self._ours, self._at = everything, ours, at
        return busy[0], max(0.0, busy[1])

    @staticmethod
    def _now() -> tuple[float, float, float]:
        times = psutil.cpu_times()
        me = psutil.Process()
        ours = 0.0
        for process in (me, *me.children(recursive=True)):
            try:
                spent = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            ours += spent.user + spent.system + spent.children_user + spent.children_system
        return sum(times) - times.idle - times.iowait, ours, time.monotonic()

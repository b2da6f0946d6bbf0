"""The local stack put together: starts its parts in the right order, watches them, stops them."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from common.settings import settings
from jembatan.stack import locks, parts
from jembatan.stack.addresses import HOST, Ports, Stack, environment, is_free
from jembatan.stack.database import database_url, ensure_prefect_database
from jembatan.stack.errors import StackError
from jembatan.stack.home import Home
from jembatan.stack.parts import TABLES, Part
from jembatan.stack.postgres import Server
from jembatan.stack.processes import Child, new_mark, stop_all, sweep

PATIENCE = 120.0  # seconds for one part to become ready
_TICK = 0.05
_LONGEST_PAUSE = 30.0  # seconds before a part that keeps dying is started again


class PortTakenError(StackError):
    """Somebody took a port between our look and our start; the next try finds another."""


class LocalStack:
    """What one process started: the parts asked for, and the database that they need.

    `on_ready(title, seconds)` and `on_note(sentence)` tell whoever shows it to a person.
    """

    def __init__(
        self,
        home: Home,
        server: Server | None,
        on_ready: Callable[[str, float], None] = lambda _title, _seconds: None,
        on_note: Callable[[str], None] = lambda _note: None,
    ) -> None:
        self.home = home
        self.server = server
        self.stack = Stack(database_url(server))
        self.children: dict[str, Child] = {}
        self._mark = new_mark()
        self._ports = Ports()
        self._parts: dict[str, Part] = {}
        self._on_ready = on_ready
        self._on_note = on_note
        self._deaths: dict[str, int] = {}
        self._again_at: dict[str, float] = {}

    def start(self, *, prefect: bool, worker: bool, sandbox: bool, api: bool) -> None:
        """Start what is asked for and wait until all of it is ready. A Prefect server that is configured
        (JEMBATAN_PREFECT_API_URL) is used as it is: it has its own workers and deployments. For `worker`
        the caller holds the home's worker lock."""
        own_prefect = prefect and settings().prefect_api_url is None
        for attempt in range(3):
            self.stack = self._address(own_prefect, prefect, sandbox, api)
            chosen: list[Part] = []
            if own_prefect:
                chosen.append(parts.prefect_server(self.home, self.stack))
                if worker:
                    chosen += [
                        parts.deployments(only_worker=self.server is not None),
                        parts.worker(self.stack),
                    ]
            if sandbox:
                chosen.append(parts.sandbox(self.home, self.stack))
            if api:
                chosen.append(parts.api(self.stack))
            try:
                # One Prefect server at a time: two that start at once would migrate its database together.
                with locks.alone(self.home.lock("prefect-start")) if own_prefect else nullcontext():
                    self._bring_up(chosen)
            except PortTakenError:
                self.stop()
                if attempt == 2:
                    raise
            else:
                return

    def stop(self) -> None:
        """First what uses the Prefect server, so that runs which are cut off can say so; then the rest, and
        what they left behind. The database is stopped by whoever leaves it last."""
        first = [child for name, child in self.children.items() if name != "prefect"]
        stop_all(first, 4)
        stop_all(self.children.values(), 3)
        self.children.clear()
        sweep(self.home, self._mark)
        self._ports.release()

    def pids(self) -> dict[str, int]:
        """Who is who, for the record."""
        database = {"postgres": self.server.pid} if self.server else {}
        lasting = {name: child.pid for name, child in self.children.items() if not self._parts[name].ends}
        return database | lasting

    def mend(self) -> None:
        """Start again what has died: at once the first time, then after longer and longer pauses."""
        if self.server is not None and not self.server.is_alive:
            self._on_note("PostgreSQL has died; it is started again.")
            self.server.ensure()
        now = time.monotonic()
        for name, part in self._parts.items():
            child = self.children[name]
            if part.ends or child.exit_code is None:
                if time.time() - child.started > 2 * _LONGEST_PAUSE:
                    self._deaths.pop(name, None)
                continue
            if name not in self._again_at:
                deaths = self._deaths[name] = self._deaths.get(name, 0) + 1
                pause = 0.0 if deaths == 1 else min(2.0 ** (deaths - 1), _LONGEST_PAUSE)
                self._again_at[name] = now + pause
                when = f"in {pause:.0f} s" if pause else "now"
                log = self.home.log(name)
                self._on_note(
                    f"The {part.title} has died (code {child.exit_code}, see {log}); starts again {when}."
                )
            if now >= self._again_at[name]:
                del self._again_at[name]
                self._spawn(part)

    def _address(self, own_prefect: bool, prefect: bool, sandbox: bool, api: bool) -> Stack:
        """Choose a port for each part, the wanted one if it is free."""
        wanted = settings()

        def url(title: str, asked: bool, port: int) -> str | None:
            if not asked:
                return None
            free = self._ports.claim(port)
            if free != port:
                self._on_note(f"Port {port} is in use; the {title} takes {free}.")
            return f"http://{HOST}:{free}"

        server = url("Prefect server", own_prefect, wanted.prefect_port)
        return Stack(
            database_url=self.stack.database_url,
            prefect_api_url=f"{server}/api" if server else (wanted.prefect_api_url if prefect else None),
            sandbox_url=url("sandbox", sandbox, wanted.sandbox_port),
            api_url=url("API", api, wanted.api_port),
        )

    def _bring_up(self, chosen: Sequence[Part]) -> None:
        if self.server is None and any(part.name == "prefect" for part in chosen):
            ensure_prefect_database(self.stack.database_url)
        self._parts = {part.name: part for part in chosen}
        began: dict[str, float] = {}
        ready: set[str] = set()
        while not ready.issuperset({TABLES, *self._parts}):
            for part in chosen:
                if part.name not in began:
                    if ready.issuperset(part.after):
                        began[part.name] = time.monotonic()
                        self._spawn(part)
                elif part.name not in ready and self._is_ready(part, began[part.name]):
                    ready.add(part.name)
                    self._on_ready(part.title, time.monotonic() - began[part.name])
            if TABLES not in ready:  # while the processes just started are loading
                self._upgrade_tables()
                ready.add(TABLES)
            time.sleep(_TICK)

    def _upgrade_tables(self) -> None:
        # SQLAlchemy and Alembic are loaded only now, when the others are busy starting.
        from sqlalchemy.exc import OperationalError

        from records.db import engine, upgrade

        began = time.monotonic()
        try:
            upgrade(self.stack.database_url)
            engine(self.stack.database_url).dispose()  # this process only starts things
        except OperationalError as error:
            raise StackError("The database does not answer; is JEMBATAN_DATABASE_URL right?") from error
        self._on_ready("tables", time.monotonic() - began)

    def _is_ready(self, part: Part, began: float) -> bool:
        child = self.children[part.name]
        code, log = child.exit_code, self.home.log(part.name)
        if code == 0 and part.ends:
            return True
        if code is not None:
            if part.port is not None and not is_free(part.port):
                raise PortTakenError(f"Port {part.port} was taken while the {part.title} started; try again.")
            raise StackError(f"Starting the {part.title} failed; the reason is at the end of {log}.")
        if time.monotonic() - began > PATIENCE:
            raise StackError(f"After {PATIENCE:.0f} s the {part.title} still cannot be used; see {log}.")
        return not part.ends and part.is_ready(child)

    def _spawn(self, part: Part) -> None:
        surroundings = environment(self.home, self.stack) | part.environment
        self.children[part.name] = Child(self.home, part.name, part.command, surroundings, self._mark)

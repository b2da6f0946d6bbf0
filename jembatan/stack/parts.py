"""The parts of the stack that are processes: their commands, and how one sees that they are ready."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from common.settings import settings
from deployments.names import WORK_POOL
from jembatan.stack.addresses import HOST, ROOT, Stack, ask
from jembatan.stack.database import prefect_database_url
from jembatan.stack.home import Home
from jembatan.stack.keys import sandbox_keys
from jembatan.stack.processes import Child

PREFECT_FILE = ROOT / "prefect.yaml"
WORKER_NAME = "jembatan-local"
TABLES = "tables"  # no process: our schema brought up to date, which the API waits for


@dataclass(frozen=True)
class Part:
    """One process. `is_ready` is asked of the live process until it says yes; a part that `ends` is ready
    when it has ended well, and is not started again."""

    name: str
    title: str
    module: str
    arguments: tuple[str, ...]
    is_ready: Callable[[Child], bool] = lambda _child: True
    environment: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    after: tuple[str, ...] = ()
    ends: bool = False

    @property
    def command(self) -> list[str]:
        """What is run."""
        return [sys.executable, "-m", self.module, *self.arguments]


def prefect_server(home: Home, stack: Stack) -> Part:
    """The Prefect server, its database beside ours. Runs older than 90 days and their logs go. It unpacks
    its pages into the home: into its own package it could not where that is installed for everybody."""
    port = _port(stack.prefect_api_url)

    def is_ready(child: Child) -> bool:
        return ask(f"{stack.prefect_api_url}/health") is True and child.listens_on(port)

    return Part(
        "prefect",
        "Prefect server",
        "prefect",
        ("server", "start", "--host", HOST, "--port", str(port)),
        is_ready=is_ready,
        port=port,
        environment={
            "PREFECT_API_DATABASE_CONNECTION_URL": prefect_database_url(stack.database_url),
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home.prefect / "ui"),
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        },
    )


def deployments(only_worker: bool) -> Part:
    """Registers the work pool and what prefect.yaml says, then ends. `only_worker`: no other worker can have
    runs under way, as the database is this home's own and one home has one worker."""
    arguments = (str(PREFECT_FILE), "--only-worker") if only_worker else (str(PREFECT_FILE),)
    return Part("deployments", "deployments", "jembatan.stack.register", arguments, ends=True)


def worker(stack: Stack) -> Part:
    """Starts flow runs, up to four at once; asks for work each second (Prefect's default is ten). The nursery
    beside it ends with it."""

    def is_ready(child: Child) -> bool:
        # A worker of the same name that has died stays in the list: only a heartbeat since our start counts.
        workers = ask(f"{stack.prefect_api_url}/work_pools/{WORK_POOL}/workers/filter", {}) or []
        beats = [one["last_heartbeat_time"] for one in workers if one["name"] == WORKER_NAME]
        return any(beat and datetime.fromisoformat(beat).timestamp() > child.started for beat in beats)

    return Part(
        "worker",
        "worker",
        "jembatan.runs.worker",
        ("--pool", WORK_POOL, "--type", "process", "--name", WORKER_NAME, "--limit", "4"),
        is_ready=is_ready,
        environment={"PREFECT_WORKER_QUERY_SECONDS": "1"},
        after=("prefect",),
    )


def api(stack: Stack) -> Part:
    """Our HTTP API."""
    port = _port(stack.api_url)

    def is_ready(child: Child) -> bool:
        return ask(f"{stack.api_url}/healthz") is not None and child.listens_on(port)

    arguments = ("api.app:app", "--host", HOST, "--port", str(port), "--no-access-log")
    return Part("api", "API", "uvicorn", arguments, is_ready=is_ready, port=port, after=(TABLES,))


def sandbox(home: Home, stack: Stack) -> Part:
    """The stand-ins for the outside services; of ours they know the public key, and where we listen."""
    port, keys = _port(stack.sandbox_url), sandbox_keys(home)
    api_url = stack.api_url or f"http://{HOST}:{settings().api_port}"

    def is_ready(child: Child) -> bool:
        return child.listens_on(port)

    arguments = (
        *("--port", str(port)),
        *("--client-key", str(keys.client_public)),
        *("--provider-key", str(keys.provider_private)),
        *("--callback-base", f"{api_url}/api/v1/payments/callback"),
        *("--journal", str(home.sandbox_journal)),
    )
    return Part("sandbox", "sandbox", "sandbox", arguments, is_ready=is_ready, port=port)


def _port(url: str | None) -> int:
    return urlsplit(url or "").port or 0

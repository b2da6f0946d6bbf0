"""The few calls that we make to Prefect's HTTP API: hand over a run, look at a flow run, end a dead one."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from common import clock
from common.settings import settings
from providers.http import trusted

_TIMEOUT = httpx.Timeout(10, connect=2)
_ENDED = frozenset({"COMPLETED", "CANCELLED", "FAILED", "CRASHED"})


class PrefectUnavailable(Exception):
    """Prefect does not answer, or does not let us in: try again later."""


class NotDeployed(Exception):
    """Prefect does not know the deployment (yet)."""


class Refused(Exception):
    """Prefect does not take this run: its parameters do not fit the flow."""


@dataclass(frozen=True)
class FlowRun:
    """A flow run and its state."""

    id: UUID
    state: str
    since: datetime

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in _ENDED


def api_url() -> str:
    """Address of Prefect's API: the configured one, else the one of the environment, else the local one."""
    local = f"http://127.0.0.1:{settings().prefect_port}/api"
    return (settings().prefect_api_url or os.environ.get("PREFECT_API_URL") or local).rstrip("/")


def flow_run_url(flow_run_id: UUID) -> str:
    """Page of a flow run in the Prefect UI."""
    return f"{api_url().removesuffix('/api')}/runs/flow-run/{flow_run_id}"


def is_reachable() -> bool:
    """Whether Prefect answers right now; waits a second at most."""
    try:
        with _client(httpx.Timeout(1)) as client:
            return client.get("/health").is_success
    except httpx.HTTPError:
        return False


@contextmanager
def connected() -> Iterator["PrefectServer"]:
    """Prefect's API for a few calls."""
    with _client(_TIMEOUT) as client:
        yield PrefectServer(client)


class PrefectServer:
    """An open connection. Every call raises PrefectUnavailable where the answer is not about the run."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._deployments: dict[str, str] = {}

    def submit(
        self, deployment: str, parameters: dict[str, Any], *, key: str, name: str, tag: str
    ) -> FlowRun:
        """Create the flow run of that key, now; the same key again is the same flow run.

        Prefect keeps keys for ever. Where the key's flow run has ended already (a person cancelled it, its
        worker died before it began), it is of no use: the next one's key says which one it follows.
        Raises NotDeployed, Refused.
        """
        body = {
            "name": name,
            "parameters": parameters,
            "tags": [tag],
            "state": {
                "type": "SCHEDULED",
                "name": "Scheduled",
                "message": "handed over by Jembatan",
                "state_details": {"scheduled_time": clock.now().isoformat()},
            },
        }
        path = f"/deployments/{self._deployment_id(deployment)}/create_flow_run"
        follows = ""
        while True:
            made = _flow_run(self._call("POST", path, json=body | {"idempotency_key": key + follows}))
            if not made.has_ended:
                return made
            follows = f":{made.id}"

    def flow_run(self, flow_run_id: UUID) -> FlowRun | None:
        """The flow run, or None if Prefect does not know it (any more)."""
        answer = self._call("GET", f"/flow_runs/{flow_run_id}")
        return None if answer is None else _flow_run(answer)

    def crash(self, flow_run_id: UUID, message: str) -> None:
        """End a flow run whose worker has died, so that nobody sees it run for ever; an ended one stays."""
        found = self.flow_run(flow_run_id)
        if found is None or found.has_ended:
            return
        state = {"type": "CRASHED", "name": "Crashed", "message": message}
        self._call("POST", f"/flow_runs/{flow_run_id}/set_state", json={"state": state, "force": True})

    def _deployment_id(self, name: str) -> str:
        if name not in self._deployments:
            answer = self._call("GET", f"/deployments/name/{name}")
            if answer is None:
                raise NotDeployed(f"Prefect has no deployment {name} yet")
            self._deployments[name] = answer["id"]
        return self._deployments[name]

    def _call(self, method: str, path: str, **body: Any) -> Any:
        """The answer's JSON; None for 404."""
        try:
            answer = self._client.request(method, path, **body)
        except httpx.HTTPError as error:
            raise PrefectUnavailable(f"Prefect does not answer ({type(error).__name__})") from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code in (
            httpx.codes.BAD_REQUEST,
            httpx.codes.CONFLICT,
            httpx.codes.UNPROCESSABLE_ENTITY,
        ):
            raise Refused(f"Prefect does not take its parameters (HTTP {answer.status_code})")
        if not answer.is_success:
            raise PrefectUnavailable(f"Prefect answers with HTTP {answer.status_code}")
        return answer.json()


def _flow_run(answer: Any) -> FlowRun:
    if answer is None:
        raise NotDeployed("Prefect has lost the deployment")
    state = answer["state"]
    return FlowRun(UUID(answer["id"]), state["type"], datetime.fromisoformat(state["timestamp"]))


def _client(timeout: httpx.Timeout) -> httpx.Client:
    """A client that logs in as Prefect's own does, and asks no proxy for an address of this machine."""
    headers = {}
    if key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    elif login := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    url = httpx.URL(api_url())
    is_local = url.host in ("127.0.0.1", "localhost", "::1")
    return httpx.Client(
        base_url=url, timeout=timeout, headers=headers, trust_env=not is_local, verify=trusted()
    )

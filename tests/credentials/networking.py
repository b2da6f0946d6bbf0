"""The sandbox's LinkedIn as the tests use it: its members, books and bad days; a learner's browser."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import sqlalchemy as sa
from registry import holder, told

from credentials import exports
from records import credential_export
from records.credential import Made
from records.credential_export import CredentialExport
from records.db import unit_of_work

ADMIN = "/_sandbox/linkedin"
API = "/api/v1/integrations/linkedin"
LEARNER = "learner-0"


@dataclass(frozen=True)
class Network:
    """A sandbox at work, and the API that uses it. Its books are its own: none of our code counts for it."""

    admin: httpx.Client
    api: httpx.Client

    def joins(self) -> str:
        """Somebody new, with an account; their `sub`."""
        sub = f"m{uuid4().hex[:10]}"
        member = {"sub": sub, "given_name": "Rina", "family_name": "Wijaya", "email": "rina@example.com"}
        self.admin.post(f"{ADMIN}/members", json=member).raise_for_status()
        return sub

    def behaves(self, **manners: Any) -> None:
        """How it answers."""
        self.admin.post(f"{ADMIN}/manners", json=manners).raise_for_status()

    def fails(self, operation: str, kind: str, times: int | None = 1, **more: Any) -> None:
        """What goes wrong with its next calls."""
        body = {"gateway": "linkedin", "operation": operation, "kind": kind, "times": times, **more}
        self.admin.post("/_sandbox/failures", json=body).raise_for_status()

    def is_well(self) -> None:
        """Nothing goes wrong any more."""
        self.admin.delete("/_sandbox/failures").raise_for_status()

    def calls(self, operation: str) -> int:
        """How often an operation was called."""
        counted = self.admin.get("/_sandbox/calls").raise_for_status().json().get("linkedin", {})
        return int(counted.get(operation, 0))

    def posts(self, sub: str | None = None) -> list[dict[str, Any]]:
        """What it has published."""
        asked = {"sub": sub} if sub else {}
        return list(self.admin.get(f"{ADMIN}/posts", params=asked).raise_for_status().json())

    def live_tokens(self) -> int:
        """How many tokens could be used."""
        return int(self.admin.get(ADMIN).raise_for_status().json()["live_tokens"])

    def ends(self, sub: str, how: str = "expire") -> None:
        """The member's tokens run out, or are taken back."""
        self.admin.post(f"{ADMIN}/members/{sub}/{how}").raise_for_status()

    def connect(self, learner_id: str = LEARNER, **more: Any) -> dict[str, Any]:
        """The addresses for a learner."""
        answer = self.api.get(f"{API}/connect", params={"learner_id": learner_id, **more})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def chooses(self, authorization_url: str, sub: str, choice: str = "allow") -> str:
        """What a member does on the page of consent; where the browser is sent."""
        answer = httpx.post(authorization_url, data={"choice": choice, "member": sub})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["Location"])

    def connected(self, learner_id: str = LEARNER, sub: str | None = None, **more: Any) -> str:
        """A learner who has connected; the member's `sub`."""
        sub = sub or self.joins()
        back = self.chooses(self.connect(learner_id, **more)["authorization_url"], sub)
        answer = httpx.get(back)
        assert (answer.status_code, answer.headers.get("Location")) == (303, "/linkedin?said=connected")
        return sub

    def state(self, learner_id: str = LEARNER) -> dict[str, Any]:
        """How the learner's connection stands."""
        answer = self.api.get(f"{API}/connection", params={"learner_id": learner_id})
        return dict(answer.raise_for_status().json())

    def shares(self, credential_id: UUID | str, learner_id: str = LEARNER, **more: Any) -> httpx.Response:
        """The platform says that the learner wants it posted."""
        body = {"learner_id": learner_id, "credential_id": str(credential_id), "share": True, **more}
        return self.api.post(f"{API}/add-certification", json=body)

    def asked(self, credential_id: UUID | str, learner_id: str = LEARNER, **more: Any) -> UUID:
        """The process of a share that was taken on."""
        answer = self.shares(credential_id, learner_id, **more)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["process_id"])


class Page(httpx.Client):
    """A learner's browser without scripts: keeps its cookie, and sends what the forms of a page hold."""

    def see(self, path: str = "/linkedin", status: int = 200, **headers: str) -> str:
        """The words of a page."""
        answer = self.get(path, headers=headers)
        assert answer.status_code == status, answer.text
        return unescape(answer.text)

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of this session."""
        found = re.search(r'name="token" value="([0-9a-f]{64})"', self.see())
        assert found
        return self.post(path, data={"token": found[1]} | fields)


def opened(network: Network, learner_id: str = LEARNER) -> Page:
    """A browser that the platform has sent to the learner's page."""
    browser = Page(base_url=network.api.base_url, follow_redirects=True)
    link = network.connect(learner_id)["learner_page_url"]
    assert browser.get(link).status_code == 200
    return browser


def credentials(number: int = 1, of: str | None = LEARNER, **changed: Any) -> Made:
    """Credentials of one learner, or of as many as there are."""
    given = [holder(one, **({"learner_id": of} if of else {})) for one in range(number)]
    return told(given, targets=changed.pop("targets", ()), **changed)


def worked(*run_ids: UUID, at_once: bool = True) -> dict[UUID, CredentialExport]:
    """Work the shares of some runs as their flow does. at_once: what waits is due already."""
    with unit_of_work() as session:
        if at_once:
            session.execute(sa.update(CredentialExport).values(next_attempt_at=sa.func.now()))
        ids = credential_export.to_work(session, run_ids, "linkedin", 100_000)
    if ids:
        exports.step("linkedin", ids)
    return rows()


def rows() -> dict[UUID, CredentialExport]:
    """Every share."""
    wanted = sa.select(CredentialExport).where(CredentialExport.target == "linkedin")
    with unit_of_work() as session:
        return {one.credential_id: one for one in session.scalars(wanted)}


def state_in(address: str) -> str:
    """The `state` of an address."""
    return parse_qs(urlsplit(address).query)["state"][0]


@contextmanager
def thief() -> Iterator[tuple[str, list[str]]]:
    """A host that is not LinkedIn's, and sends everybody on: its address, what it was asked with a token."""
    stolen: list[str] = []

    class Takes(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            if "authorization" in self.headers:
                stolen.append(f"{self.command} {self.path}")
            self.send_response(307)
            self.send_header("Location", f"{address}/stolen")
            self.end_headers()

        do_GET = do_POST = do_PUT  # noqa: N815 - names of the library

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield address, stolen
    server.shutdown()

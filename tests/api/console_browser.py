"""A browser without scripts, for the console over plain HTTP."""

import re
from collections.abc import Callable
from html import unescape

import httpx

from records import client as clients
from records.client import NewKey
from records.db import unit_of_work

OFFICER = ("exceptions:write", "refunds:write", "approvals:write")
SIGN_IN = "/console/sign-in"
Person = Callable[..., "Browser"]


class Browser(httpx.Client):
    """A browser without scripts: keeps its cookie, and sends what the forms of a page hold."""

    def see(self, path: str, status: int = 200) -> str:
        """The words of a page."""
        answer = self.get(path)
        assert answer.status_code == status, answer.text
        return unescape(answer.text)

    def token(self) -> str:
        """What the forms of this session carry."""
        found = re.search(
            r'name="token" value="([0-9a-f]{64})"', self.get("/console", follow_redirects=True).text
        )
        assert found
        return found[1]

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of this session."""
        return self.post(path, data={"token": self.token()} | fields)


def key_of(name: str, *scopes: str) -> NewKey:
    with unit_of_work() as session:
        return clients.create(session, name, scopes or OFFICER)[1]

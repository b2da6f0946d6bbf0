"""Where the parts of a stack answer, and what every process that belongs to it is told."""

import http.client
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common.settings import settings
from jembatan.stack.errors import StackError
from jembatan.stack.home import Home

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
# Kept only with JEMBATAN_PREFECT_API_URL, which names a Prefect server that is not ours: how to log in there.
_PREFECT_LOGIN = {"PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_API_SSL_CERT_FILE"}


@dataclass(frozen=True)
class Stack:
    """What is there to use; None is a part that was not asked for."""

    database_url: str
    prefect_api_url: str | None = None
    sandbox_url: str | None = None
    api_url: str | None = None

    @property
    def prefect_ui_url(self) -> str | None:
        """The pages of the Prefect server, beside its API."""
        return self.prefect_api_url.removesuffix("/api") if self.prefect_api_url else None


def environment(home: Home, stack: Stack) -> dict[str, str]:
    """The environment of a process that belongs to the stack: the caller's, without any of its Prefect
    settings, and with ours in a PREFECT_HOME of their own. Nothing phones home."""
    login = _PREFECT_LOGIN if settings().prefect_api_url else set()
    result = {
        key: value for key, value in os.environ.items() if not key.startswith("PREFECT_") or key in login
    }
    result |= {
        "JEMBATAN_HOME": str(home.path),
        "JEMBATAN_DATABASE_URL": stack.database_url,
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_PROFILES_PATH": str(home.prefect / "profiles.toml"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_COLORS": "false",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    for name in ("NO_PROXY", "no_proxy"):  # a proxy must not be asked for our own addresses
        result[name] = ",".join(filter(None, [os.environ.get(name), HOST, "localhost"]))
    if stack.prefect_api_url:
        result |= {
            "JEMBATAN_PREFECT_API_URL": stack.prefect_api_url,
            "PREFECT_API_URL": stack.prefect_api_url,
        }
    if stack.sandbox_url:
        result["JEMBATAN_SANDBOX_URL"] = stack.sandbox_url
    if stack.api_url:
        result["JEMBATAN_API_PORT"] = str(urlsplit(stack.api_url).port)
        result.setdefault("JEMBATAN_PUBLIC_URL", stack.api_url)
    return result


class Ports:
    """The ports of one stack.

    Between our look at a port and the part's bind pass seconds. So that no other stack takes it meanwhile
    (its parts would talk to ours), a port is claimed by binding the UDP port of the same number, which
    serves nothing else: one claim on the whole machine, and the kernel lets go of it when we die.
    """

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []

    def claim(self, wanted: int) -> int:
        """The wanted port, or the next one that nobody uses or claims."""
        for port in range(wanted, min(wanted + 200, 65536)):
            claim = socket.socket(type=socket.SOCK_DGRAM)
            try:
                claim.bind((HOST, port))
            except OSError:
                claim.close()
                continue
            if is_free(port):
                self._claims.append(claim)
                return port
            claim.close()
        raise StackError(
            f"No port is free from {wanted} on; set another one (JEMBATAN_API_PORT and the like)."
        )

    def release(self) -> None:
        """Let go of all."""
        while self._claims:
            self._claims.pop().close()


def is_free(port: int) -> bool:
    """Could a part listen there now?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON that a part answers with; None when it does not answer, or not well. (http.client: it starts
    fast and asks no proxy.)"""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=2)
    try:
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, parts.path, content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return json.loads(text) if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()

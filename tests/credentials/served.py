"""The API over real HTTP on a fresh database, with a key that may do everything."""

import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from records import client as clients
from records.db import unit_of_work


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The API in this process, on whatever database a test has; its relay is not started."""
    from api.app import app

    running = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join(10)


@pytest.fixture
def at(database: str, address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Calls the API; its public address is the one where it really is."""
    from common.settings import settings

    monkeypatch.setenv("JEMBATAN_PUBLIC_URL", address)
    settings.cache_clear()
    with unit_of_work() as session:
        _, key = clients.create(session, "lms", ["*"])
    headers = {"Authorization": f"Bearer {key.text}"}
    with httpx.Client(base_url=address, headers=headers) as calling:
        yield calling

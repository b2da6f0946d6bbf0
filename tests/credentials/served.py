"""The API over real HTTP on a fresh database, with a key that may do everything."""

from collections.abc import Iterator

import httpx
import pytest

from records import client as clients
from records.db import unit_of_work


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

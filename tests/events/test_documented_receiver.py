"""The receiver in docs/events.md, as a platform's developer would run it."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from events_world import a_client, a_payment, eventually, execute, states

from api.courier import Courier
from common import clock
from records import client as clients
from records import payment as payments
from records import platform_events
from records.db import unit_of_work

DOCS = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")


@pytest.fixture
def documented(database: str, tmp_path: Path) -> Iterator[tuple[UUID, Path]]:
    """The program of the docs at work for a client, and what it prints."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    (tmp_path / "receiver.py").write_text(program, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = a_client("platform")
    with unit_of_work() as session:
        url = f"http://127.0.0.1:{port}/"
        secret = clients.set_endpoint(session, clients.named(session, "platform"), url)
    environment = os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    with (tmp_path / "printed").open("wb") as printed:
        running = subprocess.Popen(
            [sys.executable, "receiver.py"], cwd=tmp_path, env=environment, stdout=printed, stderr=printed
        )
    yield client, tmp_path / "printed"
    running.terminate()
    running.wait(60)


def test_the_documented_receiver_takes_each_event_once(
    documented: tuple[UUID, Path], courier: Courier
) -> None:
    client, printed = documented
    payment = a_payment()
    execute("UPDATE payments SET client_id = %s, reference = 'INV-2026-1001' WHERE id = %s", client, payment)
    for status in ("pending", "cancelled"):
        with unit_of_work() as session:
            now = payments.locked(session, payment)
            assert payments.apply(session, now, status, cause="test", source="test")  # type: ignore[arg-type]
    with unit_of_work() as session:
        ids = [event.event_id for event, _ in platform_events.search(session)]
    eventually(lambda: states(ids) == ["delivered"] * 2)
    with unit_of_work() as session:
        platform_events.redeliver_since(session, client, clock.now() - timedelta(hours=1))
    eventually(lambda: states(ids) == ["delivered"] * 2)
    said = [line for line in printed.read_text().splitlines() if not line.startswith("127.0.0.1")]
    assert said == ["payment.pending INV-2026-1001 pending", "payment.cancelled INV-2026-1001 cancelled"]

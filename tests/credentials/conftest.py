"""The API over real HTTP on a fresh database, with a key that may do everything."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from networking import Network

from records import client as clients
from records.db import unit_of_work

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox of these tests, as users start it."""
    folder = tmp_path_factory.mktemp("sandbox")
    key = generate_private_key(65537, 2048)
    public, private = folder / "client.pem", folder / "provider.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    keys = ["--client-key", str(public), "--provider-key", str(private)]
    command = [sys.executable, "-m", "sandbox", "--port", "0", *keys]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.readline()
        assert "ready at" in said, said
        yield said.split()[-1]
        process.terminate()


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


@pytest.fixture
def network(sandbox: str, at: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """LinkedIn with empty books; our settings point to it."""
    from common.settings import settings

    monkeypatch.setenv("JEMBATAN_SANDBOX_URL", sandbox)
    monkeypatch.setenv("JEMBATAN_LINKEDIN__READ_TIMEOUT", "2")
    monkeypatch.setenv("JEMBATAN_LINKEDIN__PICTURES", "false")
    settings.cache_clear()
    with httpx.Client(base_url=sandbox) as admin:
        admin.delete("/_sandbox/linkedin").raise_for_status()
        yield Network(admin, at)
        admin.delete("/_sandbox/failures").raise_for_status()
        admin.delete("/_sandbox/linkedin").raise_for_status()

"""One sandbox process for all tests of it, started as users start it."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sandbox_caller import SnapCaller

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def merchant_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def start(
    merchant_key: RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """Starts a sandbox with more options; returns its address."""
    pem = tmp_path_factory.mktemp("keys") / "client.pub.pem"
    pem.write_bytes(merchant_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    running: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> str:
        command = [sys.executable, "-m", "sandbox", "--port", "0", "--client-key", str(pem), *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout
        ready = re.fullmatch(r"Sandbox ready at (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        assert ready, "the sandbox did not say that it is ready"
        return ready[1]

    yield begin
    for process in running:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture(scope="session")
def address(start: Callable[..., str]) -> str:
    return start()


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    """A client of the sandbox; what a test armed is disarmed after it."""
    with httpx.Client(base_url=address, timeout=10) as client:
        yield client
    httpx.delete(f"{address}/_sandbox/failures").raise_for_status()


@pytest.fixture(params=["ovo", "linkaja"])
def snap(request: pytest.FixtureRequest, http: httpx.Client, merchant_key: RSAPrivateKey) -> SnapCaller:
    """A caller of each SNAP gateway in turn."""
    return SnapCaller(http, request.param, merchant_key)


@pytest.fixture
def ovo(http: httpx.Client, merchant_key: RSAPrivateKey) -> SnapCaller:
    return SnapCaller(http, "ovo", merchant_key)


@pytest.fixture
def linkaja(http: httpx.Client, merchant_key: RSAPrivateKey) -> SnapCaller:
    return SnapCaller(http, "linkaja", merchant_key)

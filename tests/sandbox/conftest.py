"""One sandbox process for all tests of it, started as users start it, and the merchant that it notifies."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sandbox_caller import SnapCaller
from sandbox_listener import Box, Listener, listening
from sandbox_midtrans import MidtransCaller
from sandbox_profiles import ROUTES, ProfileCaller

ROOT = Path(__file__).parents[2]
Start = Callable[..., tuple[str, subprocess.Popen[str]]]


@pytest.fixture(scope="session")
def merchant_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def provider_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def start_process(
    merchant_key: RSAPrivateKey, provider_key: RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Starts a sandbox with more options; returns its address and its process."""
    folder = tmp_path_factory.mktemp("keys")
    pem, provider_pem = folder / "client.pub.pem", folder / "provider.pem"
    pem.write_bytes(merchant_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    provider_pem.write_bytes(provider_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    running: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> tuple[str, subprocess.Popen[str]]:
        keys = ["--client-key", str(pem), "--provider-key", str(provider_pem)]
        command = [sys.executable, "-m", "sandbox", "--port", "0", *keys, *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout
        ready = re.fullmatch(r"Sandbox ready at (http://127\.0\.0\.1:\d+)\n", process.stdout.readline())
        assert ready, "the sandbox did not say that it is ready"
        return ready[1], process

    yield begin
    for process in running:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def start(start_process: Start) -> Callable[..., str]:
    """Starts a sandbox with more options; returns its address."""
    return lambda *options: start_process(*options)[0]


@pytest.fixture(scope="session")
def merchant() -> Iterator[Listener]:
    """The merchant's server."""
    with listening() as listener:
        yield listener


@pytest.fixture(scope="session")
def address(start: Callable[..., str], merchant: Listener) -> str:
    return start("--callback-base", merchant.url)


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    """A client of the sandbox; what a test armed is disarmed after it."""
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client
        client.delete("/_sandbox/failures").raise_for_status()
        client.delete("/_sandbox/notifications").raise_for_status()


@pytest.fixture
def box(merchant: Listener) -> Box:
    """An address of the merchant that nothing else is sent to."""
    return merchant.box()


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


@pytest.fixture
def gopay(http: httpx.Client) -> MidtransCaller:
    return MidtransCaller(http)


@pytest.fixture
def through(http: httpx.Client, merchant_key: RSAPrivateKey) -> Callable[[str, str], ProfileCaller]:
    """A caller of a wallet through an aggregator."""
    return lambda gateway, profile: ProfileCaller(http, gateway, profile, merchant_key)


@pytest.fixture(params=ROUTES, ids=lambda route: "-".join(route))
def route(request: pytest.FixtureRequest, through: Callable[[str, str], ProfileCaller]) -> ProfileCaller:
    """Each wallet through each aggregator that offers it."""
    return through(*request.param)

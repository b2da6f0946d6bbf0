"""The API over real HTTP, for every test of credentials."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from networking import Network
from served import at  # noqa: F401  # a fixture

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


@pytest.fixture
def network(
    sandbox: str,
    at: httpx.Client,  # noqa: F811  # the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Network]:
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

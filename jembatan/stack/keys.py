"""The key pairs between us and the sandbox, made on first use: ours, and that of its SNAP providers."""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from jembatan.stack import locks
from jembatan.stack.home import Home


@dataclass(frozen=True)
class SandboxKeys:
    """The files of both pairs. The sandbox gets our public and the providers' private key, we the others."""

    client_private: Path
    client_public: Path
    provider_private: Path
    provider_public: Path


def sandbox_keys(home: Home) -> SandboxKeys:
    """The files of the pair with which we sign towards the sandbox, and of that with which it signs to us."""
    with locks.alone(home.lock("keys")):
        return SandboxKeys(*_pair(home, "sandbox-client"), *_pair(home, "sandbox-provider"))


def _pair(home: Home, name: str) -> tuple[Path, Path]:
    """The files of a private and a public key; a pair that is not complete is made anew."""
    private, public = home.keys / f"{name}.pem", home.keys / f"{name}.pub.pem"
    if not (private.exists() and public.exists()):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write(
            private,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        _write(
            public,
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        )
    return private, public


def _write(path: Path, text: bytes) -> None:
    """Whole or not at all, readable for the owner only from the first byte."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    unfinished.replace(path)

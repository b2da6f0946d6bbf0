"""The key pair with which we sign towards the sandbox, made on first use."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from jembatan.stack import locks
from jembatan.stack.home import Home


def sandbox_keys(home: Home) -> tuple[Path, Path]:
    """The files of the private and the public key; the sandbox gets the public one only."""
    private, public = home.keys / "sandbox-client.pem", home.keys / "sandbox-client.pub.pem"
    with locks.alone(home.lock("keys")):
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

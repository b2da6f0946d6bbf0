"""Encryption at rest: what is personal or secret is sealed before it is stored, with keys that rotate.

`ENCRYPTION_KEYS` holds one or more Fernet keys, separated by commas or lines: the first seals, every one
opens. In the sandbox a key is made on first use in the home's `keys/`.
"""

import hashlib
import hmac
import json
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from common.errors import BadInput
from common.settings import secret_text, settings

_OWN_FILE = "encryption.keys"


def seal(plain: bytes) -> bytes:
    """Encrypt and sign; the result can be stored anywhere."""
    return _keys(_key_text()).encrypt(plain)


def unseal(sealed: bytes) -> bytes:
    """What was sealed; raises BadInput where none of the keys fits."""
    try:
        return _keys(_key_text()).decrypt(sealed)
    except InvalidToken:
        raise BadInput("something stored was sealed with a key that JEMBATAN_ENCRYPTION_KEYS lacks") from None


def reseal(sealed: bytes) -> bytes:
    """The same content under the newest key."""
    try:
        return _keys(_key_text()).rotate(sealed)
    except InvalidToken:
        raise BadInput("something stored was sealed with a key that JEMBATAN_ENCRYPTION_KEYS lacks") from None


def seal_json(value: Any) -> bytes:
    """Encrypt a value as JSON."""
    return seal(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def unseal_json(sealed: bytes) -> Any:
    """The value that was sealed as JSON."""
    return json.loads(unseal(sealed))


def keyed_hash(purpose: str, text: bytes) -> bytes:
    """A hash that nobody can compute without the oldest key: equal texts are found, and cannot be guessed.

    The oldest key is the last of the list, so that hashes outlive a rotation that adds keys in front.
    """
    oldest = _split(_key_text())[-1].encode()
    return hmac.digest(
        hashlib.sha256(b"jembatan hash " + oldest).digest(), f"{purpose}:".encode() + text, "sha256"
    )


def _key_text() -> str:
    configured = secret_text(settings().encryption_keys)
    return configured or _own_key(f"{settings().home}/keys/{_OWN_FILE}")


@cache
def _keys(text: str) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in _split(text)])
    except (ValueError, TypeError):
        raise BadInput(
            "JEMBATAN_ENCRYPTION_KEYS needs Fernet keys (32 bytes, URL-safe base64), the newest first"
        ) from None


def _split(text: str) -> list[str]:
    return text.replace(",", "\n").split()


@cache
def _own_key(path: str) -> str:
    """The home's own key, made on first use: in the sandbox only, production names its keys."""
    if settings().env != "sandbox":
        raise BadInput("JEMBATAN_ENCRYPTION_KEYS is not set: production needs a key of its own")
    file = Path(path)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as made:
        made.write(Fernet.generate_key() + b"\n")
    try:
        os.link(unfinished, file)  # whoever comes first wins, whole or not at all
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()
    return file.read_text(encoding="ascii").strip()

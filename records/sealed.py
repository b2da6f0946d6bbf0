"""Encryption at rest: what is personal or secret is sealed before it is stored, with keys that rotate.

`ENCRYPTION_KEYS` holds one or more Fernet keys, separated by commas or lines: the first seals, every one
opens. A file of keys is read at each use, so that a new key counts at once. In the sandbox a key is made on
first use in the home's `keys/`.

Keyed hashes have keys of their own, made by whoever needs one first and kept sealed in the database: so every
encryption key can be replaced and taken out, and what was hashed goes on being found.
"""

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from common.errors import BadInput
from common.settings import is_path, secret_text, settings
from records.db import connection, database_url

_OWN_FILE = "encryption.keys"
_NO_KEY = "something stored was sealed with a key that JEMBATAN_ENCRYPTION_KEYS lacks"


def seal(plain: bytes) -> bytes:
    """Encrypt and sign; the result can be stored anywhere."""
    return _keys(_key_text()).encrypt(plain)


def unseal(sealed: bytes) -> bytes:
    """What was sealed; raises BadInput where none of the keys fits."""
    try:
        return _keys(_key_text()).decrypt(sealed)
    except InvalidToken:
        raise BadInput(_NO_KEY) from None


def seal_json(value: Any) -> bytes:
    """Encrypt a value as JSON."""
    return json_sealer()(value)


def json_sealer() -> Callable[[Any], bytes]:
    """Encrypts values as JSON with the keys as they are now: for many, so that the keys are read once."""
    encrypt = _keys(_key_text()).encrypt
    return lambda value: encrypt(_as_json(value).encode())


_as_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode  # made once, not for each value


def unseal_json(sealed: bytes) -> Any:
    """The value that was sealed as JSON."""
    return json.loads(unseal(sealed))


def seal_anew(sealed: bytes) -> bytes | None:
    """The same content under the newest key; None where that key has sealed it already. Raises BadInput."""
    text = _key_text()
    keys = _keys(text)
    try:
        _newest(text).decrypt(sealed)
        return None
    except InvalidToken:
        pass
    try:
        return keys.rotate(sealed)
    except InvalidToken:
        raise BadInput(_NO_KEY) from None


def key_names() -> list[str]:
    """Short names of the keys, the newest first: they tell keys apart and say nothing of them."""
    return [hashlib.sha256(b"jembatan key " + key.encode()).hexdigest()[:8] for key in _split(_key_text())]


def add_key() -> None:
    """Put a new key before the others in the file of keys: from now on it seals.

    Raises BadInput where the keys are not in a file that can be written.
    """
    configured = settings().encryption_keys.get_secret_value()
    if configured and not is_path(configured):
        raise BadInput(
            "JEMBATAN_ENCRYPTION_KEYS holds the keys themselves: put the new one in front there, start all "
            "parts again, then rotate"
        )
    text = _key_text()
    file = Path(configured).expanduser() if configured else Path(_own_file())
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            made.write(b"\n".join([Fernet.generate_key(), *(key.encode() for key in _split(text))]) + b"\n")
        unfinished.replace(file)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise BadInput(f"the key file {file} cannot be written: {error.strerror}") from None


HashKey = Literal["requests", "persons"]
# Before there were keys of their own, hashes of requests were made with the oldest encryption key.
_HAS_HASHES = b"""
    SELECT EXISTS (SELECT FROM idempotency_keys)
        OR EXISTS (SELECT FROM payments WHERE fingerprint IS NOT NULL)"""


def keyed_hash(purpose: str, text: bytes, *, key: HashKey = "requests") -> bytes:
    """A hash that nobody can compute without the key: equal texts are found, and cannot be guessed.

    purpose: hashes of one kind mean nothing elsewhere. key: those of persons have one that was random from
    its beginning; there are so few NIKs that a plain hash of one would be no secret at all.
    """
    return hmac.digest(_hash_key(database_url(), key), f"{purpose}:".encode() + text, "sha256")


def make_hash_keys() -> None:
    """Make the keys of hashes that nobody has needed yet: after that no encryption key is needed for them."""
    for name in get_args(HashKey):
        _hash_key(database_url(), name)


@cache
def _hash_key(_url: str, name: HashKey) -> bytes:
    """The key of that name; whoever comes first makes it, the others take it."""
    with connection() as db:
        kept = db.execute(b"SELECT key FROM hash_keys WHERE name = %s", [name]).fetchone()
        if kept is None:
            is_older = name == "requests" and db.execute(_HAS_HASHES).fetchone() == (True,)
            made = _of_oldest() if is_older else secrets.token_bytes(32)
            db.execute(
                b"INSERT INTO hash_keys (name, key) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [name, seal(made)],
            )
            kept = db.execute(b"SELECT key FROM hash_keys WHERE name = %s", [name]).fetchone()
        assert kept is not None
        return unseal(bytes(kept[0]))


def _of_oldest() -> bytes:
    text = _key_text()
    _keys(text)  # says what is wrong with them
    return hashlib.sha256(b"jembatan hash " + _split(text)[-1].encode()).digest()


def _key_text() -> str:
    """The keys as they are now. A file is looked at each time, and read when it is another than before."""
    configured = settings().encryption_keys
    text = configured.get_secret_value()
    if text and not is_path(text):
        return text
    if not text and settings().env != "sandbox":
        raise BadInput("JEMBATAN_ENCRYPTION_KEYS is not set: production needs a key of its own")
    path = os.path.expanduser(text) if text else _own_file()
    try:
        seen = os.stat(path)
    except OSError:
        return secret_text(configured) if text else made_once(Path(path), _first_key)
    return _read(path, seen.st_ino, seen.st_mtime_ns, seen.st_size)


def _first_key() -> bytes:
    return Fernet.generate_key() + b"\n"


def _own_file() -> str:
    return f"{settings().home}/keys/{_OWN_FILE}"


@lru_cache(maxsize=8)
def _read(path: str, *_state: int) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the key file {path} cannot be read: {type(error).__name__}") from None


@cache
def _newest(text: str) -> Fernet:
    return Fernet(_split(text)[0])


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


def made_once(file: Path, make: Callable[[], bytes]) -> str:
    """The text of a key file that is only ours to read; `make` gives its content on first use. Whoever comes
    first makes it for all, whole or not at all: in the sandbox only, production names its keys."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as made:
            made.write(make())
        try:
            with suppress(FileExistsError):
                os.link(unfinished, file)
        finally:
            unfinished.unlink()
    return file.read_text(encoding="ascii").strip()

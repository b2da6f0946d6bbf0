"""Tokens that we give a gateway which signs its notifications with one (DOKU)."""

import base64
import binascii
import secrets
import struct

from common import clock
from records.sealed import keyed_hash

LIFE_SECONDS = 900
_FORM = struct.Struct(">q16s")


def issue(gateway: str) -> str:
    """A token of 15 minutes. It carries its end and a keyed hash, so any of our processes knows it again."""
    payload = _FORM.pack(int(clock.now().timestamp()) + LIFE_SECONDS, secrets.token_bytes(16))
    return base64.urlsafe_b64encode(payload + _seal(gateway, payload)).decode().rstrip("=")


def is_ours(gateway: str, token: str) -> bool:
    """Whether we gave this token to that gateway, and it still lives."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return False
    payload, seal = raw[: _FORM.size], raw[_FORM.size :]
    if len(payload) != _FORM.size or not secrets.compare_digest(seal, _seal(gateway, payload)):
        return False
    ends, _ = _FORM.unpack(payload)
    return bool(clock.now().timestamp() < ends)


def _seal(gateway: str, payload: bytes) -> bytes:
    return keyed_hash(f"token of {gateway}", payload)

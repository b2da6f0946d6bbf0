"""RSA keys from PEM text: read once, whatever container they come in.

PKCS#1 and PKCS#8, LF or CRLF, several public keys one after the other (a provider that changes its key
names the old and the new one for a while). A key is read once for each text, not for each call.
"""

import re
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

_BLOCK = re.compile(r"-----BEGIN (?P<kind>(?:RSA )?PUBLIC KEY)-----.+?-----END (?P=kind)-----", re.DOTALL)


@lru_cache(maxsize=32)
def private_key(pem: str) -> RSAPrivateKey:
    """The RSA key of a PEM without password; raises ValueError for any other text."""
    try:
        key = serialization.load_pem_private_key(_plain(pem), None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("no RSA private key in PEM without password")
    return key


@lru_cache(maxsize=32)
def public_keys(pems: str) -> tuple[RSAPublicKey, ...]:
    """All RSA keys of one or more PEMs one after the other; raises ValueError where one is none."""
    keys = []
    for block in _BLOCK.finditer(_plain(pems).decode()):
        try:
            key = serialization.load_pem_public_key(block[0].encode())
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, RSAPublicKey):
            raise ValueError("one of the public keys is no RSA key in PEM")
        keys.append(key)
    if not keys:
        raise ValueError("no public key in PEM")
    return tuple(keys)


def _plain(pem: str) -> bytes:
    """With line ends of one kind; `\\n` as two characters is how many a PEM reaches an environment."""
    return pem.replace("\\n", "\n").replace("\r\n", "\n").strip().encode()

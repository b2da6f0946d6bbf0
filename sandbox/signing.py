"""The signatures of SNAP, in both directions: what is signed, and how.

Source: the national SNAP standard as the providers publish it. The hash is over the raw bytes of the body.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256


def of_client(client_id: str, timestamp: str) -> str:
    """What is signed for a token, and by NICEPAY under a notification: the body is not in it."""
    return f"{client_id}|{timestamp}"


def of_call(method: str, path: str, body: bytes, timestamp: str) -> str:
    """What is signed with RSA, where no token is used."""
    return f"{method}:{path}:{hashlib.sha256(body).hexdigest()}:{timestamp}"


def of_token_call(method: str, path: str, token: str, body: bytes, timestamp: str) -> str:
    """What is signed with HMAC, the token included."""
    return f"{method}:{path}:{token}:{hashlib.sha256(body).hexdigest()}:{timestamp}"


def hmac_sha512(secret: str, text: str) -> str:
    """Base64 of HMAC-SHA512."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha512")).decode()


def rsa_sha256(key: RSAPrivateKey, text: str) -> str:
    """Base64 of RSA PKCS#1 v1.5 with SHA-256."""
    return base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


def is_rsa_sha256(key: RSAPublicKey, text: str, signature: str) -> bool:
    """Whether the signature is that key's over the text."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True

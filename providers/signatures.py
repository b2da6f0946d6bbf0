"""Every signature that a gateway makes or wants, as pure functions; nothing else in the project signs.

Source: Midtrans docs (notifications; SNAP signature generation), the SNAP signature demo of Midtrans, DANA's,
NICEPAY's and OVO's public documents. Bodies are the very bytes that travel, paths are what is signed (for
our own calls what follows the base address). Published examples of each are the tests' data.

Each `…_fits` compares in constant time, takes any text, and is False for what is no signature at all.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

# A JSON string, or white space outside of one. A string without an end is taken to the end of the text: else
# each of its quotes would be tried again, and 64 KiB of them would take seconds.
_STRING_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.?)*+"?)|[ \t\r\n]+', re.DOTALL)


def minified(body: bytes) -> bytes:
    """A JSON text without white space outside its strings; the strings stay as they are, byte for byte."""
    return _STRING_OR_SPACE.sub(lambda found: found[1] or b"", body)


def body_hash(body: bytes) -> str:
    """Lower-case hex SHA-256 of a body; of no body it is that of the empty string."""
    return hashlib.sha256(body).hexdigest()


def midtrans_notification(order_id: str, status_code: str, gross_amount: str, server_key: str) -> str:
    """`signature_key` of a Midtrans notification: hex SHA-512 over the texts exactly as received.

    It does not cover `transaction_status`: a right signature says nothing about the state.
    """
    return hashlib.sha512(_bytes(f"{order_id}{status_code}{gross_amount}{server_key}")).hexdigest()


def midtrans_notification_fits(
    given: str, order_id: str, status_code: str, gross_amount: str, server_key: str
) -> bool:
    """Whether a notification's `signature_key` is the one that Midtrans makes."""
    return _same(given, midtrans_notification(order_id, status_code, gross_amount, server_key))


def snap_token(key: RSAPrivateKey, client_key: str, timestamp: str) -> str:
    """X-SIGNATURE of a SNAP token call (service 73): RSA over `clientKey|timestamp`."""
    return _rsa(key, f"{client_key}|{timestamp}")


def snap_token_fits(given: str, keys: Iterable[RSAPublicKey], client_key: str, timestamp: str) -> bool:
    """Whether any of the keys signed `clientKey|timestamp`: a token call, or NICEPAY's notification."""
    return _rsa_fits(given, keys, f"{client_key}|{timestamp}")


def nicepay_notification_fits(
    given: str, keys: Iterable[RSAPublicKey], client_id: str, timestamp: str
) -> bool:
    """Whether NICEPAY signed `clientId|timestamp`. The body is not covered: confirm it by status."""
    return snap_token_fits(given, keys, client_id, timestamp)


def snap_token_hmac(secret: str, client_key: str, timestamp: str) -> str:
    """X-SIGNATURE of a token call in the dialect of some banks: HMAC-SHA512 over `clientKey|timestamp`."""
    return _hmac(secret, f"{client_key}|{timestamp}")


def snap_transaction(secret: str, method: str, path: str, token: str, body: bytes, timestamp: str) -> str:
    """X-SIGNATURE of a transaction: HMAC-SHA512 over `METHOD:path:token:bodyHash:timestamp`."""
    return _hmac(secret, f"{method}:{path}:{token}:{body_hash(body)}:{timestamp}")


def snap_transaction_fits(
    given: str, secret: str, method: str, path: str, token: str, body: bytes, timestamp: str
) -> bool:
    """Whether X-SIGNATURE fits the bytes as received or, if not, their minified form."""
    return any(
        _same(given, snap_transaction(secret, method, path, token, form, timestamp)) for form in _forms(body)
    )


def snap_asymmetric(key: RSAPrivateKey, method: str, path: str, body: bytes, timestamp: str) -> str:
    """X-SIGNATURE without a token (Faspay, DANA): RSA over `METHOD:path:bodyHash:timestamp`."""
    return _rsa(key, f"{method}:{path}:{body_hash(body)}:{timestamp}")


def snap_asymmetric_fits(
    given: str, keys: Iterable[RSAPublicKey], method: str, path: str, body: bytes, timestamp: str
) -> bool:
    """Whether any of the keys signed the bytes as received or, if not, their minified form.

    The bytes come first: parsing and writing them again breaks real DANA messages with JSON inside a string.
    """
    keys = tuple(keys)
    return any(
        _rsa_fits(given, keys, f"{method}:{path}:{body_hash(form)}:{timestamp}") for form in _forms(body)
    )


def ovo_push_to_pay(app_key: str, app_id: str, random: str) -> str:
    """`hmac` header of OVO's older Push to Pay: hex HMAC-SHA256 over `app-id` and `random` alone.

    The document speaks of the body as well; its own example fits without.
    """
    return hmac.digest(app_key.encode(), f"{app_id}{random}".encode(), "sha256").hex()


def _forms(body: bytes) -> Iterable[bytes]:
    yield body
    tight = minified(body)
    if tight != body:
        yield tight


def _hmac(secret: str, text: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), _bytes(text), "sha512")).decode()


def _rsa(key: RSAPrivateKey, text: str) -> str:
    return base64.b64encode(key.sign(_bytes(text), PKCS1v15(), SHA256())).decode()


def _rsa_fits(given: str, keys: Iterable[RSAPublicKey], text: str) -> bool:
    try:
        signature = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return False
    for key in keys:
        try:
            key.verify(signature, _bytes(text), PKCS1v15(), SHA256())
        except InvalidSignature:
            continue
        return True
    return False


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(_bytes(given), _bytes(right))


def _bytes(text: str) -> bytes:
    """A text that came from outside may hold what UTF-8 cannot write; it then fits nothing."""
    return text.encode(errors="surrogatepass")

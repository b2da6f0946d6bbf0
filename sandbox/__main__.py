"""`python -m sandbox`: serve the stand-ins until stopped. Exit 2: wrong usage; 3: the port is not free."""

import argparse
import contextlib
import gc
import sys
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from sandbox.app import CALLBACK_BASE, Merchant, create_app
from sandbox.books import LEAST_SIZE, Books
from sandbox.journal import Journal
from sandbox.live import LiveBooks
from sandbox.server import HOST, listen, server
from sandbox.wib import read_day


def main() -> int:
    """Read the command line, take the port, serve."""
    chosen = _parser().parse_args()
    try:
        plug = listen(chosen.port)
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {HOST}:{chosen.port}: {error.strerror}. Choose another --port.\n")
        return 3
    live = LiveBooks(chosen.journal)
    books = Books(seed=chosen.seed, size=chosen.size, since=chosen.since, live=live)
    provider_key = chosen.provider_key or generate_private_key(65537, 2048)
    merchant = Merchant(chosen.client_key, provider_key, chosen.callback_base)
    app = create_app(books, merchant, chosen.journal.path if chosen.journal else None)
    # What is loaded stays, and books only grow. To look through all that for garbage stops everything for a
    # tenth of a second and more, which a caller takes for slowness of his own.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], 1_000_000)
    with contextlib.suppress(KeyboardInterrupt):
        server(app).run(sockets=[plug])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8410, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--client-key", type=_public_key, required=True, help="PEM file: the merchant's RSA public key"
    )
    parser.add_argument(
        "--provider-key",
        type=_private_key,
        default=None,
        help="PEM file: the RSA private key with which SNAP gateways sign; without it one is made",
    )
    parser.add_argument(
        "--callback-base",
        type=_address,
        default=CALLBACK_BASE,
        help="notifications go to this address followed by /gateway, unless a charge names another",
    )
    parser.add_argument(
        "--journal",
        type=_journal,
        default=None,
        help="file that keeps the live charges over a restart; the other services keep their books in files "
        "beside it. Without it all is forgotten",
    )
    parser.add_argument("--seed", type=int, default=1, help="other seed, other books")
    parser.add_argument("--size", type=_size, default=10_000, help="payments a day, all gateways")
    parser.add_argument("--since", type=_day, default=None, help="first day of the books, YYYY-MM-DD")
    return parser


def _public_key(path: str) -> RSAPublicKey:
    try:
        key = load_pem_public_key(Path(path).read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise argparse.ArgumentTypeError(f"{path} is not a readable PEM public key") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        raise argparse.ArgumentTypeError(f"{path} is not an RSA public key of 2048 bits or more")
    return key


def _private_key(path: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(Path(path).read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise argparse.ArgumentTypeError(f"{path} is not a readable PEM private key") from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        raise argparse.ArgumentTypeError(f"{path} is not an RSA private key of 2048 bits or more")
    return key


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
        raise argparse.ArgumentTypeError(f"not an http address without query: {text}")
    return text.rstrip("/")


def _journal(path: str) -> Journal:
    try:
        return Journal(Path(path))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be written: {error.strerror}") from error


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) < LEAST_SIZE:
        raise argparse.ArgumentTypeError(f"a day needs {LEAST_SIZE} payments or more, not {text}")
    return int(text)


def _day(text: str) -> date:
    day = read_day(text)
    if day is None:
        raise argparse.ArgumentTypeError(f"not a date of the form YYYY-MM-DD: {text}")
    return day


if __name__ == "__main__":
    sys.exit(main())

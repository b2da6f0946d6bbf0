"""Another issuer than us: a small web server with a DID document, a JWK set and status lists of its own.

Its JWTs are made with PyJWT, by hand, so that nothing of ours signs what ours checks.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from openbadgeslib.ob3 import build_status_list_credential

KEY = rsa.generate_private_key(65537, 2048)
STRANGER = rsa.generate_private_key(65537, 2048)


def jwk(key: rsa.RSAPrivateKey = KEY) -> dict[str, Any]:
    made = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return {name: made[name] for name in ("kty", "n", "e")}


def pem(key: rsa.RSAPrivateKey = KEY) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


class Issuer:
    """Its pages by path; each test changes what it serves."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.did = f"did:web:127.0.0.1%3A{port}"
        self.asked: list[str] = []
        self.pages: dict[str, bytes] = {}
        self.publish(jwk())
        self.list_revoked()

    def publish(self, *keys: dict[str, Any]) -> None:
        methods = [
            {
                "id": f"{self.did}#key-{number}",
                "type": "JsonWebKey",
                "controller": self.did,
                "publicKeyJwk": key,
            }
            for number, key in enumerate(keys, 1)
        ]
        document = {
            "id": self.did,
            "verificationMethod": methods,
            "assertionMethod": [one["id"] for one in methods],
        }
        self.pages["/.well-known/did.json"] = json.dumps(document).encode()

    def list_revoked(self, *indexes: int, key: rsa.RSAPrivateKey = KEY) -> None:
        listed = build_status_list_credential(self.did, f"{self.base}/status/1", "revocation", indexes)
        self.pages["/status/1"] = self.signed(listed, key=key).encode()

    def badge(self, **changed: Any) -> dict[str, Any]:
        """A badge before it is signed."""
        return {
            "@context": [
                "https://www.w3.org/ns/credentials/v2",
                "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
            ],
            "id": f"{self.base}/c/1",
            "type": ["VerifiableCredential", "OpenBadgeCredential"],
            "issuer": {"id": self.did, "type": ["Profile"], "name": "Another"},
            "validFrom": "2026-01-01T00:00:00Z",
            "credentialSubject": {
                "id": "urn:uuid:7c0e5d4e-6d2b-4f0a-9a53-0f2f4a1d9b11",
                "type": ["AchievementSubject"],
                "achievement": {
                    "id": f"{self.base}/a/1",
                    "type": ["Achievement"],
                    "name": "Welding",
                    "description": "Welding",
                    "criteria": {"narrative": "Passed"},
                },
            },
            "credentialStatus": {
                "id": f"{self.base}/status/1#7",
                "type": "BitstringStatusListEntry",
                "statusPurpose": "revocation",
                "statusListIndex": "7",
                "statusListCredential": f"{self.base}/status/1",
            },
        } | changed

    def signed(
        self,
        document: dict[str, Any] | None = None,
        *,
        key: Any = KEY,
        alg: str = "RS256",
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A document as a JWT."""
        said = self.badge() if document is None else document
        subject = said.get("credentialSubject", {})
        given = {"iss": self.did, "jti": said.get("id"), "sub": subject.get("id"), "nbf": 1767225600}
        payload = {name: value for name, value in (said | given | claims).items() if value is not None}
        named = {"kid": f"{self.did}#key-1"} if header is None else header
        return jwt.encode(payload, key, algorithm=alg, headers=named)


@contextmanager
def running() -> Iterator[Issuer]:
    """An issuer at work on this machine."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            body = issuer.pages.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    issuer = Issuer(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()

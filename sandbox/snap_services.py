"""What OVO (as DOKU offers it) and LinkAja (as NICEPAY does) share: token, history (12), status (55)."""

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from fastapi import APIRouter, Depends, Request

from sandbox.books import Books
from sandbox.history import history
from sandbox.keys import MERCHANT_ID, SnapKeys
from sandbox.model import Standing, State
from sandbox.money import printed
from sandbox.snap import TOKEN_SERVICE, SnapCall, SnapGate
from sandbox.wib import iso

HISTORY_SERVICE, STATUS_SERVICE = "12", "55"
# latestTransactionStatus and its description (SNAP, service 55)
LATEST: dict[State, tuple[str, str]] = {
    "settled": ("00", "Success"),
    "partially_refunded": ("00", "Success"),
    "pending": ("03", "Pending"),
    "refunded": ("04", "Refunded"),
    "cancelled": ("05", "Cancelled"),
    "expired": ("05", "Cancelled"),
    "denied": ("06", "Failed"),
    "failed": ("06", "Failed"),
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """In what two SNAP gateways differ: paths, and what the aggregator makes of the standard."""

    gateway: str
    keys: SnapKeys
    token_path: str
    history_path: str
    status_path: str
    service_code: str  # what a status request must say in `serviceCode`
    expires_in: str | int  # a string in the standard, a number at DOKU
    channel: str

    @property
    def base(self) -> str:
        """What the signed path does not contain."""
        return f"/{self.gateway}"

    @property
    def services(self) -> dict[str, str]:
        """Path prefixes by operation, for the failures and the count of calls."""
        return {
            "token": self.base + self.token_path,
            "history": self.base + self.history_path,
            "status": self.base + self.status_path,
        }


async def raw_body(request: Request) -> bytes:
    """The bytes as received: the signature is over these."""
    return await request.body()


def snap_router(dialect: Dialect, books: Books, merchant_key: RSAPublicKey) -> tuple[APIRouter, SnapGate]:
    """The three services of one gateway, behind its gate."""
    router = APIRouter(prefix=dialect.base)
    gate = SnapGate(dialect.keys, merchant_key)

    def received(request: Request, body: bytes, service: str) -> SnapCall:
        path = request.url.path.removeprefix(dialect.base) + (
            f"?{request.url.query}" if request.url.query else ""
        )
        return SnapCall(service, request.method, path, request.headers, body)

    @router.post(dialect.token_path)
    def token(request: Request, body: bytes = Depends(raw_body)) -> dict[str, Any]:
        """Service 73."""
        return {
            "responseCode": "2007300",
            "responseMessage": "Successful",
            "accessToken": gate.token(received(request, body, TOKEN_SERVICE)),
            "tokenType": "Bearer",
            "expiresIn": dialect.expires_in,
        }

    @router.post(dialect.history_path)
    def transaction_history(request: Request, body: bytes = Depends(raw_body)) -> dict[str, Any]:
        """Service 12."""
        call = received(request, body, HISTORY_SERVICE)
        return history(books, dialect.gateway, dialect.channel, call, gate.admit(call))

    @router.post(dialect.status_path)
    def status(request: Request, body: bytes = Depends(raw_body)) -> dict[str, Any]:
        """Service 55."""
        call = received(request, body, STATUS_SERVICE)
        return _status(books, dialect, call, gate.admit(call))

    return router, gate


def _status(books: Books, dialect: Dialect, call: SnapCall, members: dict[str, Any]) -> dict[str, Any]:
    reference = members.get("originalPartnerReferenceNo") or members.get("originalReferenceNo")
    if not reference:
        raise call.refuse(400, "02", "Invalid Mandatory Field originalPartnerReferenceNo")
    if "serviceCode" not in members:
        raise call.refuse(400, "02", "Invalid Mandatory Field serviceCode")
    if not isinstance(reference, str) or len(reference) > 64:
        raise call.refuse(400, "01", "Invalid Field Format originalPartnerReferenceNo")
    if members["serviceCode"] != dialect.service_code:
        raise call.refuse(400, "01", "Invalid Field Format serviceCode")
    if members.get("merchantId", MERCHANT_ID) != MERCHANT_ID:
        raise call.refuse(404, "08", "Invalid Merchant")
    standing = books.standing(dialect.gateway, reference)
    if standing is None:
        raise call.refuse(404, "01", "Transaction Not Found")
    return _shown(standing, dialect.service_code)


def _shown(one: Standing, service_code: str) -> dict[str, Any]:
    code, words = LATEST[one.state]
    answer: dict[str, Any] = {
        "responseCode": "2005500",
        "responseMessage": "Successful",
        "originalPartnerReferenceNo": one.reference,
        "originalReferenceNo": one.gateway_reference,
        "serviceCode": service_code,
        "latestTransactionStatus": code,
        "transactionStatusDesc": words,
        "transactionDate": iso(one.created_at),
        "transAmount": {"value": printed(one.amount), "currency": "IDR"},
    }
    if one.settled_at:
        answer["paidTime"] = iso(one.settled_at)
    if one.refunds:
        answer["refundHistory"] = [
            {
                "refundNo": refund.gateway_reference,
                "partnerReferenceNo": refund.reference,
                "refundAmount": {"value": printed(refund.amount), "currency": "IDR"},
                "refundStatus": "00",
                "refundDate": iso(refund.confirmed_at),
                "reason": "Seat cancelled",
            }
            for refund in one.refunds
        ]
    return answer

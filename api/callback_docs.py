"""How the documentation shows what gateways send to us: their own messages, by gateway, with our answers.

Source: Midtrans docs, HTTP(S) notification; SNAP BI, services 56 (payment notify) and 73 (access token).
"""

from typing import Annotated, Any

from fastapi import Path

from api.problem_kinds import OURS, described
from common.settings import GATEWAYS

WhichGateway = Annotated[
    str, Path(description="The wallet", examples=["gopay"], json_schema_extra={"enum": list(GATEWAYS)})
]


def _snap(reference: str, theirs: str, channel: dict[str, Any]) -> dict[str, Any]:
    return {
        "originalPartnerReferenceNo": reference,
        "originalReferenceNo": theirs,
        "originalExternalId": "2611251200000850970000000002",
        "merchantId": "sandbox-merchant",
        "amount": {"value": "150000.00", "currency": "IDR"},
        "latestTransactionStatus": "00",
        "transactionStatusDesc": "Success",
        "createdTime": "2026-11-25T12:00:00+07:00",
        "finishedTime": "2026-11-25T12:01:30+07:00",
        "additionalInfo": channel | {"refundHistory": []},
    }


# As each wallet's default profile sends it.
MESSAGES: dict[str, dict[str, Any]] = {
    "gopay": {
        "status_code": "200",
        "status_message": "midtrans payment notification",
        "transaction_id": "9222c14f-5cc8-4841-b5c5-60f42ab80c9c",
        "order_id": "INV-2026-004711",
        "merchant_id": "sandbox-merchant",
        "gross_amount": "150000.00",
        "currency": "IDR",
        "payment_type": "gopay",
        "transaction_time": "2026-11-25 12:00:00",
        "transaction_status": "settlement",
        "fraud_status": "accept",
        "expiry_time": "2026-11-25 12:15:00",
        "settlement_time": "2026-11-25 12:01:30",
        "payment_option_type": "GOPAY_WALLET",
        "signature_key": "8049841cabfeb8b825754778e000068db208004f7d7879fffd8c7a4ae83ef94f"
        "08ea35c5f7cc980fc85e2b30f37ab2b83fba5ba747ba656afa1e0c0c4df6263c",
    },
    "ovo": _snap("INV-2026-004712", "202611251200000140152647", {"channel": "EMONEY_OVO_SNAP"}),
    "linkaja": _snap("INV-2026-004713", "20261125JBTNLINK120000F4846FBB", {"mitraCd": "LINK"}),
}
_TEXT = {"type": "string"}


def _members(required: list[str], **described_by: str) -> dict[str, Any]:
    """The members of a message that we read; it may have others."""
    properties: dict[str, Any] = {name: _TEXT | {"description": text} for name, text in described_by.items()}
    return {"type": "object", "required": required, "properties": properties}


_MIDTRANS = _members(
    ["order_id", "status_code", "gross_amount", "signature_key"],
    order_id="The payment's `reference`",
    status_code="Signed with it",
    gross_amount="Rupiah with two decimals",
    signature_key="SHA-512 over order_id, status_code, gross_amount and the server key",
    transaction_status="Not signed, so the gateway is asked before money moves",
    transaction_id="The gateway's own id",
    settlement_time="When it was paid, in WIB",
)
_SNAP = _members(
    ["originalPartnerReferenceNo"],
    originalPartnerReferenceNo="The payment's `reference`",
    originalReferenceNo="The gateway's own id",
    latestTransactionStatus="`00` paid, `03` pending, `05` cancelled, `06` failed",
    finishedTime="When it was paid",
)
_SNAP_HEADERS = {
    "X-TIMESTAMP": ("When it was signed", "2026-11-25T12:01:31+07:00"),
    "X-SIGNATURE": (
        "OVO, LinkAja: over this path, the body and the time; GoPay's is in the body",
        "kyfJmJqCKe1W16+r4+o4RMz3LsfI49fLfVKBJQwLCY6uCdWVj3E2YafPQbOTJqLF",
    ),
}
_CLIENT_KEY = {"X-CLIENT-KEY": ("Our client id at the gateway", "sandbox-ovo")}


def _operation(
    headers: dict[str, tuple[str, str]], schema: dict[str, Any], examples: dict[str, Any]
) -> dict[str, Any]:
    """What FastAPI cannot know of a route that reads the message itself."""
    return {
        "parameters": [
            {"name": name, "in": "header", "description": text, "schema": _TEXT, "example": example}
            for name, (text, example) in headers.items()
        ],
        "requestBody": {
            "required": True,
            "description": "The gateway's own message, as raw bytes: that is what it has signed",
            "content": {"application/json": {"schema": schema, "examples": _examples(examples)}},
        },
    }


def _examples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: {"summary": name, "value": value} for name, value in values.items()}


def _answers(service: str, taken: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """A gateway is answered in its own form; what is no gateway's gets a problem."""

    def refused(status: int, word: str, reason: str) -> dict[str, Any]:
        snap: dict[str, Any] = {
            "responseCode": f"{status}{service}00",
            "responseMessage": f"{word}. {reason}",
        }
        own: dict[str, Any] = {"gopay": {"status": "refused", "reason": reason}} if "gopay" in taken else {}
        return own | {name: snap for name in taken if name != "gopay"}

    by_status: dict[int, tuple[str, dict[str, Any]]] = {
        200: ("Taken; in the gateway's own form", taken),
        400: ("It cannot be read; in the gateway's own form", refused(400, "Bad Request", "json")),
        401: (
            "Its signature is missing or wrong; in the gateway's own form",
            refused(401, "Unauthorized", "signature"),
        ),
        413: (
            "Over 64 KiB; in the gateway's own form",
            refused(413, "Payload Too Large", "too large"),
        ),
    }
    answers = described("not-found", *OURS)
    for status, (text, examples) in by_status.items():
        answer = answers.setdefault(status, {"content": {}})
        answer["description"] = text
        answer["content"]["application/json"] = {
            "schema": {"type": "object"},
            "examples": _examples(examples),
        }
    return answers


_STORED: dict[str, Any] = {"responseCode": "2005600", "responseMessage": "Successful"}
_TOKEN: dict[str, Any] = {
    "responseCode": "2007300",
    "responseMessage": "Successful",
    "accessToken": "AAAAAGsG85X-RuRPfcosO2xAwAadyumZu3HrwVWcqQCC…",
    "tokenType": "Bearer",
    "expiresIn": 900,
    "additionalInfo": "",
}
NOTIFICATION = _operation(_SNAP_HEADERS, {"anyOf": [_MIDTRANS, _SNAP]}, MESSAGES)
NOTIFICATION_ANSWERS = _answers("56", {"gopay": {"status": "ok"}, "ovo": _STORED, "linkaja": _STORED})
TOKEN_REQUEST = _operation(
    _CLIENT_KEY | _SNAP_HEADERS,
    _members(["grantType"], grantType="Always `client_credentials`"),
    {"ovo": {"grantType": "client_credentials"}},
)
TOKEN_ANSWERS = _answers("73", {"ovo": _TOKEN})

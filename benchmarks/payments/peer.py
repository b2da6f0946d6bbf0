"""The peer of the intake: a bare Starlette app that checks a signature and stores the message.

One handler for each form, the same signature functions as ours, one INSERT into the same database through
psycopg's asynchronous pool, one transaction each. No claim is read, nothing is encrypted, nothing follows.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.payments.messages import path
from checkout import tokens
from common.settings import settings
from providers import signatures

POOL = 8  # of 4, 8, 16 and 32 the fastest
TABLE = b"""
CREATE TABLE peer_notifications (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    gateway text NOT NULL,
    event text NOT NULL UNIQUE,
    body bytea NOT NULL
)"""
_KEEP = b"INSERT INTO peer_notifications (gateway, event, body) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"

pool = AsyncConnectionPool(
    settings().database_url or "",
    min_size=POOL,
    max_size=POOL,
    open=False,
    kwargs={"autocommit": True},  # a statement alone is a transaction: no round trips for BEGIN and COMMIT
)
MIDTRANS_KEY = settings().gopay.server_key.get_secret_value()
DOKU_SECRET = settings().ovo.client_secret.get_secret_value()


async def midtrans(request: Request) -> JSONResponse:
    """SHA-512 over three members."""
    body = await request.body()
    claim = json.loads(body)
    if not signatures.midtrans_notification_fits(
        claim["signature_key"], claim["order_id"], claim["status_code"], claim["gross_amount"], MIDTRANS_KEY
    ):
        return JSONResponse({"status": "refused"}, 401)
    await _keep("gopay", body)
    return JSONResponse({"status": "ok"})


async def doku(request: Request) -> JSONResponse:
    """HMAC-SHA512 over method, path, token, body and time."""
    body = await request.body()
    headers = request.headers
    token = headers["authorization"].removeprefix("Bearer ")
    if not signatures.snap_transaction_fits(
        headers["x-signature"],
        DOKU_SECRET,
        request.method,
        request.url.path,
        token,
        body,
        headers["x-timestamp"],
    ) or not tokens.is_ours("ovo", token):
        return JSONResponse({"responseCode": "4015600", "responseMessage": "Unauthorized"}, 401)
    json.loads(body)
    await _keep("ovo", body)
    return JSONResponse({"responseCode": "2005600", "responseMessage": "Successful"})


async def _keep(gateway: str, body: bytes) -> None:
    async with pool.connection() as db:
        await db.execute(_KEEP, (gateway, signatures.body_hash(body), body))


@asynccontextmanager
async def _running(_: Starlette) -> AsyncIterator[None]:
    async with pool:
        yield


app = Starlette(
    routes=[Route(path("gopay"), midtrans, methods=["POST"]), Route(path("ovo"), doku, methods=["POST"])],
    lifespan=_running,
)

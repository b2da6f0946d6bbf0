"""A wallet behind SNAP over HTTP: every aggregator's paths under one base, and one history (12)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from sandbox.books import Books
from sandbox.dana import Dana
from sandbox.doku import Doku
from sandbox.failures import slowly
from sandbox.faspay import Faspay
from sandbox.history import history
from sandbox.live import LiveBooks
from sandbox.nicepay import Nicepay
from sandbox.ovo_direct import OvoDirect
from sandbox.snap import SnapCall, SnapGate
from sandbox.snap_desk import Desk
from sandbox.snap_profile import SERVICE_CODES, Profile, Wallet
from sandbox.wib import iso, now

PROFILES: Mapping[str, Profile] = {
    one.name: one for one in (Doku(), Nicepay(), Faspay(), Dana(), OvoDirect())
}
HISTORY_PATH = "/v1.0/transaction-history-list"
Serve = Callable[[SnapCall], Awaitable[dict[str, Any]]]


def operations(wallet: Wallet) -> dict[str, str]:
    """The operation of each of the wallet's paths, for the failures and the count of calls."""
    paths = {
        wallet.base + path: operation
        for profile in PROFILES.values()
        for operation, several in profile.paths.items()
        for path in several
    }
    return paths | {wallet.base + HISTORY_PATH: "history"}


def snap_router(
    wallet: Wallet, books: Books, live: LiveBooks, merchant_key: RSAPublicKey
) -> tuple[APIRouter, list[SnapGate]]:
    """All services of one wallet, each aggregator behind its own gate."""
    router = APIRouter()
    desks = [
        Desk(
            wallet,
            profile,
            SnapGate(wallet.keys, merchant_key, profile.scheme, profile.needs_device),
            books,
            live,
        )
        for profile in PROFILES.values()
    ]
    for desk in desks:
        serve: dict[str, Serve] = {
            "token": desk.token,
            "charge": desk.charge,
            "status": desk.status,
            "cancel": desk.cancel,
            "refund": desk.refund,
        }
        for operation, paths in desk.profile.paths.items():
            endpoint = _endpoint(wallet, SERVICE_CODES[operation], serve[operation])
            for path in paths:
                router.add_route(wallet.base + path, endpoint, methods=["POST"])
    gates = [desk.gate for desk in desks if "token" in desk.profile.paths]

    @router.post(wallet.base + HISTORY_PATH)
    def transaction_history(request: Request, body: bytes = Depends(raw_body)) -> dict[str, Any]:
        """Service 12, for a token of any of the wallet's aggregators."""
        call = received(wallet, request, body, SERVICE_CODES["history"])
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        gate = next((one for one in gates if one.tokens.is_live(token)), gates[0])
        return history(books, wallet.gateway, wallet.history_channel, call, gate.admit(call))

    return router, gates


async def raw_body(request: Request) -> bytes:
    """The bytes as received: the signature is over these."""
    return await request.body()


def received(wallet: Wallet, request: Request, body: bytes, service: str) -> SnapCall:
    """The call as the gate wants it."""
    path = request.url.path.removeprefix(wallet.base) + (f"?{request.url.query}" if request.url.query else "")
    home = str(request.base_url).rstrip("/")
    return SnapCall(service, request.method, path, request.headers, body, home)


def answered(answer: dict[str, Any], status: int = 200) -> JSONResponse:
    """An answer in SNAP's form, with its time."""
    return JSONResponse(answer, status, {"X-TIMESTAMP": iso(now())})


def _endpoint(wallet: Wallet, service: str, serve: Serve) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def endpoint(request: Request) -> JSONResponse:
        call = received(wallet, request, await request.body(), service)
        await slowly(request)
        return answered(await serve(call))

    return endpoint

"""The whole sandbox as one ASGI application."""

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from sandbox import admin, gopay, linkaja, ovo
from sandbox.books import Books
from sandbox.failures import FailingGateways, Switchboard
from sandbox.snap import SnapError
from sandbox.snap_services import snap_router


def create_app(books: Books, merchant_key: RSAPublicKey) -> ASGIApp:
    """All gateways, the admin endpoints, and the failures around them."""
    app = FastAPI(title="Jembatan sandbox", openapi_url=None)
    app.add_exception_handler(SnapError, _snap_refusal)
    switchboard = Switchboard(
        {
            "gopay": gopay.SERVICES,
            "ovo": ovo.DIALECT.services,
            "linkaja": linkaja.DIALECT.services | {"report": linkaja.REPORTS},
        }
    )
    ovo_routes, ovo_gate = snap_router(ovo.DIALECT, books, merchant_key)
    linkaja_routes, linkaja_gate = snap_router(linkaja.DIALECT, books, merchant_key)
    app.include_router(gopay.router(books))
    app.include_router(ovo_routes)
    app.include_router(linkaja_routes)
    app.include_router(linkaja.report_router(books))
    app.include_router(admin.router(books, switchboard, [ovo_gate, linkaja_gate]))
    return FailingGateways(app, switchboard)


async def _snap_refusal(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, SnapError):
        raise error
    return JSONResponse(error.answer, error.status)

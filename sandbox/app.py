"""The whole sandbox as one ASGI application."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from sandbox import (
    admin,
    admin_payments,
    bank_files,
    europass,
    gopay,
    gopay_files,
    linkaja,
    linkedin,
    linkedin_admin,
    linkedin_api,
    linkedin_books,
    ovo,
    siplatih,
    siplatih_admin,
    siplatih_books,
)
from sandbox.books import Books
from sandbox.failures import FailingGateways
from sandbox.gopay_messages import PROFILE as MIDTRANS
from sandbox.gopay_notices import MidtransVoice
from sandbox.kept_lines import KeptLines
from sandbox.notices import Notifier, Voice
from sandbox.pay_page import page_router
from sandbox.snap import SnapError, SnapGate
from sandbox.snap_notices import SnapVoice
from sandbox.snap_services import PROFILES, answered, operations, snap_router
from sandbox.switchboard import Services, Switchboard

WALLETS = (ovo.WALLET, linkaja.WALLET)
CALLBACK_BASE = "http://127.0.0.1:8400/api/v1/payments/callback"


@dataclass(frozen=True)
class Merchant:
    """Whom the gateways serve: the key with which it signs, the key with which they do, and its address."""

    key: RSAPublicKey
    provider_key: RSAPrivateKey
    callback_base: str = CALLBACK_BASE


def create_app(books: Books, merchant: Merchant, journal: Path | None = None) -> ASGIApp:
    """All gateways and services, the admin endpoints, and the failures around them.

    journal: beside this file the services keep their books.
    """
    live = books.live
    notifier = Notifier(_voices(merchant))
    live.tell = notifier.tell

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        live.start()
        yield
        await notifier.close()

    app = FastAPI(title="Jembatan sandbox", openapi_url=None, lifespan=running)
    app.add_exception_handler(SnapError, _snap_refusal)
    gates: list[SnapGate] = []
    for wallet in WALLETS:
        routes, of_wallet = snap_router(wallet, books, live, merchant.key)
        app.include_router(routes)
        gates += of_wallet
    app.include_router(gopay_files.file_router(books))
    app.include_router(linkaja.report_router(books))
    app.include_router(gopay.router(books, live, merchant.callback_base))
    app.include_router(page_router(live))
    switchboard = Switchboard(_services())
    app.include_router(admin_payments.payment_router(live, notifier, merchant.callback_base))
    app.include_router(bank_files.bank_router(books))
    register = siplatih.Siplatih(siplatih_books.Books(_kept(journal, "siplatih")))
    app.include_router(register.routes())
    app.include_router(siplatih_admin.admin_router(register))
    network = linkedin.LinkedIn(linkedin_books.Books(_kept(journal, "linkedin")))
    app.include_router(network.routes())
    app.include_router(linkedin_api.Api(network).routes())
    app.include_router(linkedin_admin.admin_router(network))
    issuer = europass.Issuer(_kept(journal, "europass"))
    app.include_router(issuer.routes())
    app.include_router(europass.admin_router(issuer))
    tokens: list[admin.Tokens] = [*(gate.tokens for gate in gates), register.tokens, network]
    app.include_router(admin.router(books, switchboard, tokens))
    return FailingGateways(app, switchboard)


def _kept(journal: Path | None, service: str) -> KeptLines:
    return KeptLines(journal.with_suffix(f".{service}.jsonl") if journal else None)


def _voices(merchant: Merchant) -> dict[tuple[str, str], Voice]:
    voices: dict[tuple[str, str], Voice] = {("gopay", MIDTRANS): MidtransVoice(merchant.callback_base)}
    for wallet in WALLETS:
        for name, profile in PROFILES.items():
            voices[wallet.gateway, name] = SnapVoice(
                profile, wallet, merchant.provider_key, merchant.callback_base
            )
    return voices


def _services() -> Services:
    """What is counted and can fail."""
    paths = {
        path: (wallet.gateway, operation)
        for wallet in WALLETS
        for path, operation in operations(wallet).items()
    }
    forms = [(form, ("gopay", operation)) for operation, form in gopay.OPERATIONS.items()]
    for service, of_service in (
        ("siplatih", siplatih.OPERATIONS),
        ("linkedin", linkedin_api.OPERATIONS),
        ("europass", europass.OPERATIONS),
    ):
        forms += [(form, (service, operation)) for operation, form in of_service.items()]
    forms += [
        (re.compile(re.escape(prefix) + ".*"), (gateway, "report"))
        for gateway, prefix in (("gopay", gopay_files.REPORTS), ("linkaja", linkaja.REPORTS))
    ]
    return Services(paths, tuple(forms))


async def _snap_refusal(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, SnapError):
        raise error
    return answered(error.answer, error.status)

"""The HTTP API: health, processes, and the pages of finance.

It listens on loopback (the stack sees to that); sign-in with API keys comes with the payments.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI

from api import docs, health, pages, problems, processes
from api.headers import SecurityHeaders
from api.relay import Relay


def _version() -> str:
    try:
        return version("jembatan")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0.0.0"


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """The relay works as long as the API does."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    relay = Relay()
    relay.start()
    try:
        yield
    finally:
        relay.stop()


app = FastAPI(
    title="Jembatan",
    version=_version(),
    summary="The bridge between a vocational-training platform and its ministry, wallets and networks.",
    description="Errors are problem details (RFC 9457) with a stable `type`. Times are UTC, business days "
    "are those of Asia/Jakarta.",
    docs_url=None,
    redoc_url=None,
    lifespan=_lifespan,
)
app.add_middleware(SecurityHeaders)
problems.install(app)
for _part in (health, processes, pages):
    app.include_router(_part.router)
docs.mount(app)

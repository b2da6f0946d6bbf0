"""The HTTP API: payments and what gateways tell of them, processes, health, and the pages of finance.

It listens on loopback (the stack sees to that). Programs sign in with API keys, people at the console with
a client's key; the pages of statements have no sign-in yet.
"""

import gc
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from anyio import to_thread
from fastapi import FastAPI

from api import (
    approvals,
    badges,
    callbacks,
    completions,
    console,
    credential_checks,
    credential_page,
    credentials,
    docs,
    enrolments,
    entitlements,
    europass,
    exception_sheet,
    exceptions,
    health,
    learner_pages,
    learner_visitor,
    learners,
    linkedin,
    linkedin_callback,
    openapi,
    pages,
    payments,
    payouts,
    persons,
    problems,
    processes,
    programs,
    reconciliations,
    refunds,
    training_centres,
    verify,
    verify_page,
)
from api.addresses import PlainAddress
from api.courier import Courier
from api.desk import Desk
from api.front import Front
from api.headers import SecurityHeaders
from api.intake import Intake
from api.relay import Relay
from api.size import SizeLimit
from checkout import gateways
from common.settings import GATEWAYS

# Each may wait for a gateway; a slow one has its own smaller share (checkout.create).
REQUESTS_AT_ONCE = 160


def _version() -> str:
    try:
        return version("jembatan")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0.0.0"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What works beside the requests lives as long as the API does."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    intake = app.state.intake = Intake()
    desks = [Desk(gateway, intake) for gateway in GATEWAYS]
    beside: list[Intake | Desk | Relay | Courier] = [intake, *desks, Relay(), Courier()]
    for one in beside:
        one.start()
    to_thread.current_default_thread_limiter().total_tokens = REQUESTS_AT_ONCE
    # What is loaded stays: else every full collection looks through all of it, for nothing.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        # All at once: each ends what it is at, and one that waits for a gateway holds up no other.
        with ThreadPoolExecutor(len(beside)) as pool:
            list(pool.map(lambda one: one.stop(), beside))
        gateways.close_all()


app = FastAPI(
    title="Jembatan",
    version=_version(),
    summary="The bridge between a vocational-training platform and its ministry, wallets and networks.",
    description="Errors are problem details (RFC 9457) with a stable `type`. Beside those that an endpoint "
    "names, any may end with 500 `internal-error`, and a method that it lacks with 405 "
    "`method-not-allowed`. Times are UTC, business days are those of Asia/Jakarta.",
    openapi_tags=openapi.TAGS,
    generate_unique_id_function=openapi.operation_id,
    docs_url=None,
    redoc_url=None,
    lifespan=_lifespan,
    # Nobody collects them here, and to find that out costs each request as much as its routing.
    telemetry={"tracing": False, "metrics": False, "logs": False},
)
app.add_middleware(SizeLimit)
app.add_middleware(PlainAddress)
app.add_middleware(SecurityHeaders)
app.add_middleware(Front, intake=lambda: app.state.intake)
problems.install(app)
learner_visitor.install(app)
_PARTS = (
    health,
    payments,
    refunds,
    approvals,
    callbacks,
    programs,
    credential_checks,
    credentials,
    training_centres,
    badges,
    credential_page,
    europass,
    linkedin,
    linkedin_callback,
    learner_pages,
    verify,
    verify_page,
    processes,
    pages,
    reconciliations,
    exception_sheet,
    exceptions,
    payouts,
    completions,
    persons,
    enrolments,
    learners,
    entitlements,
)
for _part in _PARTS:
    app.include_router(_part.router)
console.mount(app)
openapi.complete(app)
docs.mount(app)

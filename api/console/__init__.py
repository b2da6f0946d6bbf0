"""The console: where finance works exceptions, decides what waits for a second person, gives money back, and
where credentials are revoked.

Pages only: what may be done, and what it does, is in records/ and checkout/, as for the API and the command
line. Every page works without a script; htmx only saves loading a whole page where a list is filtered.
"""

from fastapi import APIRouter, FastAPI

from api.console import approvals, credentials, exceptions, learners, payments, signing_in, start
from api.console.visitor import install as install_visitor

router = APIRouter(include_in_schema=False)
for _part in (signing_in, start, exceptions, approvals, payments, learners, credentials):
    router.include_router(_part.router, prefix="/console")


def mount(app: FastAPI) -> None:
    """Put the console into the API."""
    app.include_router(router)
    install_visitor(app)

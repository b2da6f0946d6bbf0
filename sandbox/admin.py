"""The endpoints that no gateway has: the merchant's ledger to begin with, the truth, failures on demand."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Protocol

from fastapi import APIRouter, HTTPException, Response

from sandbox.books import Books
from sandbox.switchboard import Failure, Switchboard


class Tokens(Protocol):
    """The tokens of one service."""

    def end_all(self) -> None:
        """Every token ends now, as if its time had passed."""


def router(books: Books, switchboard: Switchboard, tokens: Iterable[Tokens]) -> APIRouter:
    """Everything under `/_sandbox`, and `/healthz`."""
    routes = APIRouter()

    def known(day: date) -> date:
        if not books.has(day):
            raise HTTPException(404, f"The books begin on {books.since}.")
        return day

    @routes.get("/_sandbox/days/{day}/ledger.csv")
    def ledger(day: date) -> Response:
        """The canonical ledger CSV of the day."""
        return Response(books.ledger_csv(known(day)), media_type="text/csv")

    @routes.get("/_sandbox/days/{day}/refunds.csv")
    def refunds(day: date) -> Response:
        """The refunds confirmed on the day."""
        return Response(books.refunds_csv(known(day)), media_type="text/csv")

    @routes.get("/_sandbox/days/{day}/truth.json")
    def truth(day: date) -> dict[str, Any]:
        """What was put into the day, by gateway and class."""
        return books.truth(known(day))

    # `async`: the switchboard is used on the event loop only
    @routes.post("/_sandbox/failures", status_code=201)
    async def arm(failure: Failure) -> Failure:
        """Let the next calls of a service fail; failures of one service come in the order they were armed."""
        try:
            switchboard.arm(failure)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return failure

    @routes.get("/_sandbox/failures")
    async def armed() -> list[Failure]:
        """What is still to happen."""
        return switchboard.armed

    @routes.delete("/_sandbox/failures", status_code=204)
    async def disarm(gateway: str | None = None) -> None:
        """Let nothing fail any more, or nothing of one gateway."""
        switchboard.disarm(gateway)

    @routes.get("/_sandbox/calls")
    async def calls() -> dict[str, dict[str, int]]:
        """How often each service was called, failed calls included."""
        return switchboard.counts()

    @routes.delete("/_sandbox/tokens", status_code=204)
    async def end_tokens() -> None:
        """Every token of every service ends now, as if its time had passed."""
        for of_service in tokens:
            of_service.end_all()

    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        """Ready."""
        return {"status": "ok"}

    return routes

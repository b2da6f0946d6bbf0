"""Sign in with an API client's key, and sign out. The key is in no address, no log and no cookie."""

import logging
import threading
import time
from collections import deque
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from api.console.visitor import (
    SIGN_IN,
    Form,
    NotSignedIn,
    Sent,
    cookie_name,
    home_of,
    is_https,
    is_private,
    read_form,
    signed_in,
)
from api.rendering import page
from records import console_session
from records.client import allows
from records.db import unit_of_work

router = APIRouter()
log = logging.getLogger("jembatan.console")
OPENS = ("exceptions:read", "credentials:read")  # one of them, or there is nothing to see here
TRIES = 10  # wrong keys from one address in a minute
_MINUTE = 60.0
_ADDRESSES = 10_000  # that are remembered; of more the oldest are forgotten
_WRONG = "That key does not open the console. Check that you copied all of it; if so, ask your operator."
_wrong: dict[str, deque[float]] = {}
_counting = threading.Lock()


@router.get("/sign-in")
def ask_for_key(request: Request, next: str = "", ended: str = "", out: str = "") -> Response:
    """The form that asks for the key; who is signed in goes on at once."""
    if signed_in(request) is not None:
        return RedirectResponse(home_of(next), 303)
    return _asked(request, home_of(next), said="ended" if ended else "out" if out else "")


@router.post("/sign-in")
def sign_in(request: Request, sent: Annotated[Form, Depends(read_form)]) -> Response:
    """Take the key and begin a session; why it was not taken is not told."""
    there = home_of(sent.text("next"))
    if not is_private(request):
        return _asked(request, there, status=403)
    address = request.client.host if request.client else ""
    if _is_tried_too_often(address):
        log.warning("sign-in: too many wrong keys from %s", address)
        return _asked(request, there, "Too many tries. Wait a minute, then try again.", status=429)
    with unit_of_work() as session:
        opened = console_session.open_with(session, sent.text("key"))
        if not isinstance(opened, str) and not any(allows(opened[0].scopes, one) for one in OPENS):
            console_session.close(session, opened[1])
            lacking = " and ".join(OPENS)
            detail = f"The client {opened[0].name} lacks {lacking}, so it has nothing to see here."
            return _asked(request, there, detail, status=403)
        before = request.cookies.get(cookie_name(request), "")
        if before and not isinstance(opened, str):
            console_session.close(session, before)
    if isinstance(opened, str):
        _note_wrong(address)
        log.warning("sign-in: a key was refused (%s)", opened)
        return _asked(request, there, _WRONG, status=401)
    caller, text = opened
    log.info("sign-in: %s", caller.name)
    answer = RedirectResponse(there, 303)
    answer.set_cookie(
        cookie_name(request),
        text,
        max_age=int(console_session.LONGEST.total_seconds()),
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/sign-out")
def sign_out(request: Request, _sent: Sent) -> Response:
    """End the session, here and in our records."""
    text = request.cookies.get(cookie_name(request), "")
    if not text:
        raise NotSignedIn
    with unit_of_work() as session:
        console_session.close(session, text)
    answer = RedirectResponse(f"{SIGN_IN}?out=1", 303)
    answer.delete_cookie(
        cookie_name(request), path="/", secure=is_https(request), httponly=True, samesite="strict"
    )
    return answer


def _asked(request: Request, there: str, problem: str = "", said: str = "", status: int = 200) -> Response:
    return page(
        "console/sign_in.html",
        status=status,
        next=there,
        problem=problem,
        said=said,
        is_private=is_private(request),
    )


def _is_tried_too_often(address: str) -> bool:
    with _counting:
        tries = _wrong.get(address, deque())
        while tries and tries[0] <= time.monotonic() - _MINUTE:
            tries.popleft()
        return len(tries) >= TRIES


def _note_wrong(address: str) -> None:
    with _counting:
        _wrong.setdefault(address, deque()).append(time.monotonic())
        while len(_wrong) > _ADDRESSES:
            _wrong.pop(next(iter(_wrong)))

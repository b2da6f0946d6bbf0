"""Requests that say one thing: JSON in UTF-8 with each member once, and one idempotency key.

Readers of JSON differ in which of two members of one name counts. Where money moves neither does: who checked
the request on its way to us may have read the other.
"""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.problems import Problem, place


class Twice(ValueError):
    """A member stands twice. path: where, from the top."""

    def __init__(self, path: list[str]) -> None:
        self.path = path
        super().__init__("a member stands twice")


def read(body: bytes) -> Any:
    """What a JSON text in UTF-8 says; raises Twice, any other ValueError, or RecursionError."""
    first: list[tuple[dict[str, Any], str]] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs) and not first:
            times = Counter(name for name, _ in pairs)
            first.append((made, next(name for name in times if times[name] > 1)))
        return made

    said = json.loads(body.decode("utf-8-sig"), object_pairs_hook=members)
    if first:
        within, name = first[0]
        raise Twice([*_way(said, within), name])
    return said


def _way(whole: Any, to: dict[str, Any]) -> list[str]:
    """The names and numbers that lead to one object; none where a later member has replaced it."""
    todo: list[tuple[Any, Any]] = [(whole, None)]  # each with the step to it, which has the step before
    while todo:
        one, step = todo.pop()
        if one is to:
            way: list[str] = []
            while step is not None:
                step, name = step
                way.insert(0, str(name))
            return way
        inner = one.items() if isinstance(one, dict) else enumerate(one)
        todo += [(value, (step, name)) for name, value in inner if isinstance(value, dict | list)]
    return []


class UnambiguousRoute(APIRoute):
    """A route that refuses what could be read in two ways; for the rest FastAPI finds the words."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_unambiguous(request: Request) -> Response:
            if len(request.headers.getlist("idempotency-key")) > 1:
                raise _invalid("header.Idempotency-Key", "this header stands twice: send it once")
            if "json" in request.headers.get("content-type", "").lower():
                _check(await request.body())
            return await handle(request)

        return handle_unambiguous


def _check(body: bytes) -> None:
    try:
        read(body)
    except Twice as twice:
        raise _invalid(place(["body", *twice.path]), "this member stands twice: send it once") from None
    except (ValueError, RecursionError):
        if json.detect_encoding(body) not in ("utf-8", "utf-8-sig"):  # FastAPI would read it
            raise Problem("bad-request") from None


def _invalid(where: str, reason: str) -> Problem:
    problem = Problem("invalid-request", f"{where}: {reason}")
    problem.errors = [{"where": where, "reason": reason}]
    return problem

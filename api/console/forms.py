"""What becomes of a form: it is taken, or its page comes back as it was filled and says what is wrong.

A page's form has one shape: `work` does what the form says and returns the word for the note that follows, or
raises NotTaken; `page` shows the page with the form as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.console.visitor import Form, Visitor, shown


class NotTaken(Exception):
    """A form of which nothing was done. problems: what is wrong, by field; the empty name is the form itself.

    sent: what the form shows now, where that is not what was sent.
    """

    def __init__(self, problems: dict[str, str], status: int = 422, sent: Form | None = None) -> None:
        self.problems, self.status, self.sent = problems, status, sent
        super().__init__(problems)


@dataclass(frozen=True)
class Filled:
    """A page's form: what stands in it, what is wrong with it, and what was done a moment ago."""

    sent: Form
    problems: dict[str, str] = field(default_factory=dict)
    status: int = 200
    done: str = ""

    @classmethod
    def by_address(cls, request: Request, *names: str) -> Self:
        """The form as the page's address fills it; these fields only."""
        asked = {name: request.query_params.get(name, "") for name in names}
        return cls(Form(asked), done=request.query_params.get("done", ""))


def taken(sent: Form, here: str, work: Callable[[], str], page: Callable[[Filled], HTMLResponse]) -> Response:
    """Work a form: on to its own page (303, so that a reload sends nothing twice), or back into its hands."""
    try:
        done = work()
    except NotTaken as refused:
        return page(Filled(refused.sent or sent, refused.problems, refused.status))
    return RedirectResponse(f"{here}?done={done}", 303)


def shown_with(template: str, visitor: Visitor, filled: Filled, **values: object) -> HTMLResponse:
    """A page of the console with its form."""
    return shown(
        template,
        visitor,
        status=filled.status,
        sent=filled.sent,
        problems=filled.problems,
        done=filled.done,
        **values,
    )

"""LinkedIn's admin calls: who is a member, what was posted, how it behaves."""

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field, ValidationError

from sandbox.linkedin import LinkedIn
from sandbox.linkedin_books import Member
from sandbox.linkedin_manners import Manners


class NewMember(BaseModel, extra="forbid"):
    """Somebody who joins."""

    sub: str = Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")
    given_name: str = Field(min_length=1)
    family_name: str = ""
    email: str = ""
    email_verified: bool = True
    language: str = "in"
    country: str = "ID"


def admin_router(service: LinkedIn) -> APIRouter:
    """Everything under `/_sandbox/linkedin`. `async`: the books are used on the event loop only."""
    routes = APIRouter(prefix="/_sandbox/linkedin")
    books = service.books

    @routes.get("")
    async def summary() -> dict[str, int]:
        """How much is on the books. attempts: how often posts were sent, refused repeats included."""
        return {
            "members": len(books.members),
            "live_tokens": sum(token.is_live for token in books.tokens.values()),
            "posts": len(books.posts),
            "attempts": sum(post.attempts for post in books.posts.values()),
            "pictures": sum(bool(picture.size) for picture in books.pictures.values()),
        }

    @routes.delete("", status_code=204)
    async def clear() -> None:
        """The first members and nothing else, the usual manners."""
        books.clear()
        service.manners = Manners()

    @routes.get("/manners")
    async def manners() -> Manners:
        """How it behaves."""
        return service.manners

    @routes.post("/manners")
    async def behave(changed: dict[str, Any]) -> Manners:
        """Change what is named, leave the rest."""
        try:
            service.manners = Manners.model_validate({**service.manners.model_dump(), **changed})
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_context=False)) from None
        return service.manners

    @routes.delete("/manners", status_code=204)
    async def behave_as_usual() -> None:
        """Every choice as it is by default."""
        service.manners = Manners()

    @routes.get("/members")
    async def members() -> list[dict[str, Any]]:
        """Everybody with an account."""
        return [asdict(member) for member in books.members.values()]

    @routes.post("/members", status_code=201)
    async def join(wanted: NewMember) -> NewMember:
        """Let somebody have an account, or another name."""
        books.join(Member(**wanted.model_dump()))
        return wanted

    @routes.post("/members/{sub}/{act}", status_code=204)
    async def end_tokens(sub: str, act: Literal["expire", "revoke"]) -> None:
        """The member's tokens run out, or the member takes back what was allowed."""
        if sub not in books.members:
            raise HTTPException(404, f"No member {sub}.")
        for token in books.tokens.values():
            if token.sub == sub:
                books.end(token, revoked=act == "revoke")

    @routes.get("/posts")
    async def posts(sub: str | None = None) -> list[dict[str, Any]]:
        """Every post, oldest first, or those of one member."""
        author = f"urn:li:person:{sub}"
        return [asdict(post) for post in books.posts.values() if sub is None or post.author == author]

    @routes.get("/pictures")
    async def pictures() -> list[dict[str, Any]]:
        """Every picture that was announced; size 0: never uploaded."""
        return [asdict(picture) for picture in books.pictures.values()]

    @routes.post("/day", status_code=204)
    async def next_day() -> None:
        """The daily limits begin anew, as at 00:00 UTC."""
        books.posted.clear()

    @routes.post("/keys", status_code=204)
    async def rotate() -> None:
        """Sign ID tokens with a new key from now on; the older ones stay published."""
        service.signer.rotate()

    return routes

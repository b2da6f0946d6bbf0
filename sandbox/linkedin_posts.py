"""What a post must look like. LinkedIn names the first thing that is wrong."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from sandbox.fields import members_of
from sandbox.linkedin_errors import LinkedInRefusal
from sandbox.linkedin_text import shown
from sandbox.refusals import Refusal

MOST_BYTES = 100_000
MOST_SIGNS = 3000
_AUTHOR = re.compile(r"urn:li:(person|organization):[A-Za-z0-9_-]+")
_IMAGE = re.compile(r"urn:li:image:[A-Za-z0-9_-]+")
_DISTRIBUTION = {
    "feedDistribution": ("MAIN_FEED", "NONE"),
    "targetEntities": None,
    "thirdPartyDistributionChannels": None,
}
_KNOWN = {
    "author",
    "commentary",
    "visibility",
    "distribution",
    "content",
    "lifecycleState",
    "isReshareDisabledByAuthor",
}


@dataclass(frozen=True, slots=True)
class PostRequest:
    """A post that passed every check. commentary: as readers will see it."""

    author: str
    commentary: str
    visibility: str
    source: str
    thumbnail: str
    media: str


async def post_members(request: Request) -> dict[str, Any]:
    """The JSON object of a POST, in LinkedIn's own words where it is none."""
    try:
        return await members_of(request, MOST_BYTES)
    except Refusal as refusal:
        raise LinkedInRefusal(refusal.status, refusal.code, refusal.message) from None


def check_post(members: dict[str, Any], *, cuts: bool) -> PostRequest:
    """Raises LinkedInRefusal 400. cuts: a reserved character ends the text silently instead."""
    for name in members.keys() - _KNOWN:
        raise _bad(name, f"unrecognized field found but not allowed: {name}", "UNKNOWN_FIELD")
    author = _text(members, "author", longest=200)
    if not _AUTHOR.fullmatch(author):
        raise _bad("author", "is not a person's or an organization's URN")
    commentary = _commentary(members, cuts=cuts)
    _one_of(members, "visibility", ("PUBLIC", "CONNECTIONS", "LOGGED_IN"))
    _one_of(members, "lifecycleState", ("PUBLISHED",))
    if type(members.get("isReshareDisabledByAuthor", False)) is not bool:
        raise _bad("isReshareDisabledByAuthor", "is not a boolean")
    _check_distribution(members.get("distribution"))
    source, thumbnail, media = _content(members.get("content"))
    return PostRequest(author, commentary, members["visibility"], source, thumbnail, media)


def _commentary(members: dict[str, Any], *, cuts: bool) -> str:
    commentary = members.get("commentary")
    if not isinstance(commentary, str):
        raise _bad("commentary", "is required but missing", "MISSING_REQUIRED_FIELD")
    seen, place = shown(commentary)
    if place is not None and not cuts:
        raise _bad("commentary", f"has the reserved character {commentary[place]!r} at {place} unescaped")
    if len(seen) > MOST_SIGNS:
        raise _bad("commentary", f"is longer than {MOST_SIGNS} characters")
    return seen


def _check_distribution(value: Any) -> None:
    if not isinstance(value, dict):
        raise _bad("distribution", "is required but missing", "MISSING_REQUIRED_FIELD")
    for name in value.keys() - _DISTRIBUTION.keys():
        raise _bad(f"distribution/{name}", "unrecognized field found but not allowed", "UNKNOWN_FIELD")
    _one_of(value, "feedDistribution", ("MAIN_FEED", "NONE"), "distribution/")
    for name in ("targetEntities", "thirdPartyDistributionChannels"):
        if not isinstance(value.get(name, []), list):
            raise _bad(f"distribution/{name}", "is not a list")


def _content(value: Any) -> tuple[str, str, str]:
    """Source and thumbnail of an article, or the URN of an image; a post may have neither, never both."""
    if value is None:
        return "", "", ""
    if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= {"article", "media"}:
        raise _bad("content", "must have exactly one of article and media")
    if isinstance(article := value.get("article"), dict):
        for name in article.keys() - {"source", "title", "description", "thumbnail"}:
            raise _bad(f"content/article/{name}", "unrecognized field found but not allowed", "UNKNOWN_FIELD")
        source = _text(article, "source", longest=2048, place="content/article/")
        if urlsplit(source).scheme not in ("http", "https") or not urlsplit(source).netloc:
            raise _bad("content/article/source", "is not a web address")
        _text(article, "title", longest=400, place="content/article/")
        if "description" in article:
            _text(article, "description", longest=4086, place="content/article/")
        return source, _image(article, "thumbnail", "content/article/"), ""
    if isinstance(media := value.get("media"), dict):
        for name in media.keys() - {"id", "title", "altText"}:
            raise _bad(f"content/media/{name}", "unrecognized field found but not allowed", "UNKNOWN_FIELD")
        if "id" not in media:
            raise _bad("content/media/id", "is required but missing", "MISSING_REQUIRED_FIELD")
        return "", "", _image(media, "id", "content/media/")
    raise _bad("content", "is not an object")


def _image(members: dict[str, Any], name: str, place: str) -> str:
    if name not in members:
        return ""
    urn = _text(members, name, longest=200, place=place)
    if not _IMAGE.fullmatch(urn):
        raise _bad(f"{place}{name}", "is not the URN of an image")
    return urn


def _text(members: dict[str, Any], name: str, *, longest: int, place: str = "") -> str:
    value = members.get(name)
    if value is None or value == "":
        raise _bad(f"{place}{name}", "is required but missing", "MISSING_REQUIRED_FIELD")
    if not isinstance(value, str) or len(value) > longest:
        raise _bad(f"{place}{name}", f"is not a text of at most {longest} characters")
    return value


def _one_of(members: dict[str, Any], name: str, words: tuple[str, ...], place: str = "") -> None:
    if name not in members:
        raise _bad(f"{place}{name}", "is required but missing", "MISSING_REQUIRED_FIELD")
    if members[name] not in words:
        raise _bad(f"{place}{name}", f"is not one of {', '.join(words)}")


def _bad(path: str, words: str, code: str = "FIELD_VALUE_INVALID") -> LinkedInRefusal:
    message = f"ERROR :: /{path} :: {words}"
    inputs = [{"code": code, "description": message, "input": {"inputPath": {"fieldPath": f"/{path}"}}}]
    return LinkedInRefusal(400, code, message, inputs=inputs)

"""What the pages that anybody opens have in common: language, addresses, and pages that say what is wrong.

They carry no script of others and no style in the page; `api/headers.py` has their policy.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse

from api.public_words import NAMES, WORDS, language_of
from api.rendering import written_page
from common.settings import settings
from credentials import ours
from providers.europass.concepts import LANGUAGES, Language

_ROOMS = ("/credentials/", "/verify", "/achievements/", "/status/")


@dataclass(frozen=True)
class Public:
    """One public page as it was asked for. path: of its address; base: what stands before; issuer: whose
    house it is."""

    path: str
    language: Language
    base: str
    issuer: str

    @property
    def say(self) -> dict[str, str]:
        """The words of its language."""
        return WORDS[self.language]

    def url(self, path: str) -> str:
        """The address of a page of ours, from anywhere."""
        return f"{self.base}{path}"

    def other(self, language: Language) -> str:
        """This page in a language."""
        return f"{self.path}?{urlencode({'lang': language})}"

    def problem(self, status: int, word: str) -> HTMLResponse:
        """A page that says what is wrong, and nothing of what was asked for."""
        text = written("public/problem.html", self, word=word)
        return HTMLResponse(text, status, {"Vary": "Accept, Accept-Language", "X-Robots-Tag": "noindex"})


def is_public(path: str) -> bool:
    """Whether pages under this address are for anybody."""
    return path.startswith(_ROOMS)


def of(request: Request) -> Public:
    """The page that a request asks for."""
    language = language_of(request.query_params.get("lang"), request.headers.get("accept-language", ""))
    return Public(request.url.path, language, ours.base_url(), settings().badges.issuer_name)


def written(template: str, here: Public, **values: object) -> str:
    """A public page in its language."""
    return written_page(template, here=here, say=here.say, names=NAMES, languages=LANGUAGES, **values)

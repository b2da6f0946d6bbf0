"""The public page of a credential, and what stands on it: QR code, card, certificate.

One statement a page; what it says is put into words once for each state of it, and pictures are kept. It may
be stored but is asked for again each time (`no-cache`, ETag): a revocation is seen by the next who looks.
"""

import hashlib
import io
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import segno
from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api import public_pages
from api.problems import not_found
from api.public_pages import Public
from api.public_words import moment
from common import clock
from common.settings import settings
from credentials import certificates, european, images, linkedin, public
from credentials.public import Shown
from providers.europass.concepts import Language
from providers.europass.page import unturned, written
from providers.linkedin.profile import Certificate
from providers.open_badges import card
from providers.open_badges.card import Card
from records.credential import Achievement
from records.db import unit_of_work

router = APIRouter(include_in_schema=False)
CredentialId = Annotated[UUID, Path()]
_REVALIDATED = "no-cache"  # kept, and asked for each time
_NOT_LISTED = {"X-Robots-Tag": "noindex"}
_STAMPED = ("expired", "suspended", "revoked")


def page_of(credential_id: UUID, request: Request) -> Response:
    """The page for people, in their language; raises the problem `not-found`: a browser gets a page."""
    here = public_pages.of(request)
    shown = public.read(credential_id)
    if shown is None:
        raise not_found("There is no such credential.")
    form = linkedin.certificate_of(
        shown.id, shown.content.name, shown.centre_name, shown.issued_on, shown.expires_on
    )
    today = clock.business_date(clock.now())
    body = _written(shown, here, today, _issuer(), form, settings().badges.may_be_indexed)
    status = 410 if shown.state == "withdrawn" else 200
    headers = {"Vary": "Accept, Accept-Language", "Content-Language": here.language}
    return _kept(request, body.encode(), "text/html; charset=utf-8", headers, status)


@lru_cache(maxsize=512)
def _written(
    shown: Shown,
    here: Public,
    today: date,
    issuer: tuple[str, str | None],
    form: Certificate,
    is_indexed: bool,
) -> str:
    """The page. All that it says comes in, so that the same is written once."""
    say, language, content = here.say, here.language, shown.content
    name, url = issuer
    address = here.url(f"/credentials/{shown.id}")
    is_english = language == "en"
    return public_pages.written(
        "public/credential.html",
        here,
        shown=shown,
        title=unturned(_either(content.name, content.name_en, is_english)[0]),
        told={
            which: _either(getattr(content, which), getattr(content, f"{which}_en"), is_english)
            for which in ("name", "description", "criteria")
        },
        units=[(unit.code, *_either(unit.title, unit.title_en, is_english)) for unit in content.skkni_units],
        issuer=name,
        issuer_url=url,
        address=address,
        banner=_banner(shown, say, language, today, name),
        sharing=unturned(
            (say["share_named"] if shown.name else say["share"]).format(
                kind=say["kind"], name=shown.name, centre=shown.centre
            )
        ),
        issued_on=written(shown.issued_on, language),
        expires_on=written(shown.expires_on, language) if shown.expires_on else None,
        is_indexed=is_indexed and shown.state != "withdrawn",
        linkedin=linkedin.form_link(form) if shown.is_good else None,
        linkedin_values=_values(form, say),
    )


def _either(indonesian: str, english: str | None, is_english: bool) -> tuple[str, Language]:
    """A text in the page's language, or in the one in which it was told."""
    return (english, "en") if is_english and english else (indonesian, "id")


def _banner(shown: Shown, say: dict[str, str], language: Language, today: date, issuer: str) -> str:
    """What the state means, in a sentence."""
    text = say[f"{shown.state}_more"]
    if shown.state == "valid":
        return text.format(unturned(issuer), written(today, language))
    if shown.state == "not_yet_valid":
        return text.format(written(shown.issued_on, language))
    if shown.state == "expired" and shown.expires_on is not None:
        return text.format(written(shown.expires_on, language))
    return text.format(moment(shown.since, language))


def _values(form: Certificate, say: dict[str, str]) -> list[tuple[str, str]]:
    """What LinkedIn's form asks for, as people read it."""
    rows = [("li_name", form.name), ("li_organizationName", form.organisation)]
    rows.append(("li_issued", f"{form.issued_on.month}/{form.issued_on.year}"))
    if form.expires_on is not None:
        rows.append(("li_expires", f"{form.expires_on.month}/{form.expires_on.year}"))
    rows += [("li_certId", str(form.id)), ("li_certUrl", form.url)]
    return [(say[name], value) for name, value in rows]


def _issuer() -> tuple[str, str | None]:
    own = settings().badges
    return own.issuer_name, own.issuer_url


# What stands on it


@router.get("/credentials/{credential_id:uuid}/qr.svg")
def qr(credential_id: CredentialId, request: Request) -> Response:
    """The QR code of the page's own address."""
    here = public_pages.of(request)
    shown = public.read(credential_id)
    if shown is None or shown.state == "withdrawn":
        return here.problem(404, "not_found")
    body = _qr(here.url(f"/credentials/{credential_id}"))
    return _kept(request, body, "image/svg+xml")


@lru_cache(maxsize=512)
def _qr(address: str) -> bytes:
    drawn = io.BytesIO()
    # Dark on white in the dark too: few cameras read it the other way round.
    code = segno.make(address, error="m", micro=False)
    code.save(
        drawn, kind="svg", scale=8, border=3, dark="#000", light="#fff", xmldecl=False, omitsize=True,
        svgclass=None, lineclass=None,
    )  # fmt: skip
    return drawn.getvalue()


@router.get("/credentials/{credential_id:uuid}/card.png")
def card_png(credential_id: CredentialId, request: Request) -> Response:
    """The card that networks show beside a link. They keep it for days: it calls nothing valid."""
    here = public_pages.of(request)
    shown = public.read(credential_id)
    if shown is None or shown.state == "withdrawn":
        return here.problem(404, "not_found")
    with unit_of_work() as session:
        look = images.look(session, session.get_one(Achievement, shown.achievement_id))
    say = here.say
    said = Card(
        look=look,
        language=here.language,
        kind=say["kind"],
        awarded=say["card_awarded"],
        check=say["card_check"].format(urlsplit(here.url("/")).netloc),
        name=shown.name or "",
        stamp=say[shown.state] if shown.state in _STAMPED else "",
    )
    return _kept(request, lambda: card.drawn(said), "image/png", key=repr(said) + repr(said.name))


@router.get("/credentials/{credential_id:uuid}/certificate.pdf")
def certificate_pdf(credential_id: CredentialId, request: Request) -> Response:
    """The certificate, where the holder agreed to show the name and it was made."""
    here = public_pages.of(request)
    shown = public.read(credential_id)
    made = certificates.pdf(credential_id, here.language) if shown is not None and shown.has_files else None
    if made is None:
        return here.problem(404, "not_found")
    name = f'inline; filename="certificate-{credential_id}-{here.language}.pdf"'
    return Response(made, media_type="application/pdf", headers=_NOT_LISTED | {"Content-Disposition": name})


@router.get("/credentials/{credential_id:uuid}/europass.json")
def europass_json(credential_id: CredentialId, request: Request) -> Response:
    """The European credential as it was made, where the holder agreed to show the name."""
    shown = public.read(credential_id)
    kept = european.document(credential_id) if shown is not None and shown.has_files else None
    if kept is None:
        return public_pages.of(request).problem(404, "not_found")
    name = f'attachment; filename="europass-{credential_id}.json"'
    headers = _NOT_LISTED | {"Content-Disposition": name}
    return Response(kept.document(), media_type="application/json", headers=headers)


def _kept(
    request: Request,
    body: bytes | Callable[[], bytes],
    media_type: str,
    headers: dict[str, str] | None = None,
    status: int = 200,
    key: str = "",
) -> Response:
    """An answer that may be stored and is asked for again each time; nothing is drawn for who has it."""
    named = key.encode() if callable(body) else body
    etag = f'"{hashlib.sha256(named).hexdigest()[:32]}"'
    said = {"ETag": etag, "Cache-Control": _REVALIDATED} | (headers or {})
    if status == 410 or not settings().badges.may_be_indexed:
        said |= _NOT_LISTED
    if etag in request.headers.get("if-none-match", "") and status == 200:
        return Response(status_code=304, headers=said)
    return Response(body() if callable(body) else body, status, said, media_type)

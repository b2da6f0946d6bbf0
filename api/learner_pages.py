"""The learner's page: the connection to LinkedIn, each certificate, and what became of its share."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from api import learner_words
from api.learner_visitor import HOME, Present, Sent, Visitor, language_of, leave, shown, to_page
from api.learner_words import Language
from common import clock
from credentials import asking, linkedin, share_outcomes, sharing
from providers.linkedin.oauth import SHARE
from providers.linkedin.text import LONGEST
from records import credential_state, linkedin_connection, linkedin_share
from records.credential import Credential
from records.credential_export import CredentialExport
from records.db import unit_of_work
from records.linkedin_connection import LinkedInConnection
from records.linkedin_share import LinkedInShare, Visibility
from records.training_centre import TrainingCentre

router = APIRouter(include_in_schema=False)
MOST = 100  # certificates on the page, the newest
AGREED = "the learner's page"
_SAID = (
    "connected", "cancelled", "disconnected", "shared", "resumed", "changed", "no_text", "not_connected",
    "not_possible", "name_shown", "name_kept",
)  # fmt: skip
_WAITS_FOR_LEARNER = (share_outcomes.AGAIN, share_outcomes.NOT_CONNECTED, share_outcomes.NOT_ALLOWED)


@dataclass(frozen=True)
class Account:
    """The connection as the page shows it."""

    state: str
    until: str
    can_share: bool
    shares_new: bool


@dataclass(frozen=True)
class Certificate:
    """One certificate on the page. fields: what LinkedIn's form asks for, by its word and value. share: the
    words for its share and their moment; can_share: whether the form for it is shown. is_named:
    the public page shows the learner's name; None where there is no name any more."""

    id: UUID
    name: str
    centre: str
    number: str
    issued: str
    expires: str | None
    state: str
    page: str
    form: str
    fields: tuple[tuple[str, str], ...]
    share: str | None
    moment: str
    link: str | None
    can_share: bool
    text: str
    visibility: str
    is_named: bool | None


@router.get(HOME)
def learner_page(request: Request, visitor: Present, said: str = "") -> HTMLResponse:
    """What a learner can do with certificates at LinkedIn."""
    language = language_of(request)
    with unit_of_work() as session:
        account = _account(session, visitor, language)
        certificates = _certificates(session, visitor, language, account)
        waiting = len(_held_up(session, visitor))
    return shown(
        request,
        "learner_linkedin.html",
        visitor=visitor,
        account=account,
        certificates=certificates,
        waiting=waiting,
        said=f"said_{said}" if said in _SAID else "",
        longest=LONGEST,
    )


@router.post(f"{HOME}/share")
def share(visitor: Present, sent: Sent) -> Response:
    """Post one certificate, with the text that the learner has before the eyes."""
    text = sent.text("text").replace("\r", "\n")
    if not 0 < len(text) <= LONGEST:
        return to_page("no_text")
    visibility: Visibility = "CONNECTIONS" if sent.text("visibility") == "CONNECTIONS" else "PUBLIC"
    today = clock.business_date(clock.now())
    with unit_of_work() as session:
        one = _own(session, visitor, sent.text("credential"))
        if one is None or one.state_on(today) != "valid":
            return to_page("not_possible")
        found = linkedin_connection.of_learner(session, visitor.learner.learner_id)
        if found is None or found.state_now() != "connected" or SHARE not in found.scopes:
            return to_page("not_connected")
        asking.share(session, one.id, text, visibility, agreed_with=AGREED)
    return to_page("shared")


@router.post(f"{HOME}/share-new")
def share_new(visitor: Present, sent: Sent) -> Response:
    """Have new certificates shared by themselves, or no longer."""
    with unit_of_work() as session:
        found = linkedin_connection.of_learner(session, visitor.learner.learner_id, lock=True)
        if found is None:
            return to_page("not_connected")
        if sent.text("on") == "yes":
            found.share_new()
        else:
            found.shares_new_since = None
    return to_page("changed")


@router.post(f"{HOME}/show-name")
def show_name(visitor: Present, sent: Sent) -> Response:
    """Let the public page of a certificate show the learner's name, or no longer."""
    is_agreed = sent.text("on") == "yes"
    with unit_of_work() as session:
        one = _own(session, visitor, sent.text("credential"))
        if one is None or one.withdrawn_at is not None:
            return to_page("not_possible")
        credential_state.show_name(session, one.id, is_agreed=is_agreed, source=AGREED)
    return to_page("name_shown" if is_agreed else "name_kept")


@router.post(f"{HOME}/resume")
def resume(visitor: Present, _sent: Sent) -> Response:
    """Go on with the shares that waited for the learner to connect again."""
    with unit_of_work() as session:
        ids = _held_up(session, visitor)
        if ids:
            asking.ask_for(session, asking.Wish(ids, targets=[linkedin_share.TARGET]))
    return to_page("resumed")


@router.post(f"{HOME}/disconnect")
def disconnect(visitor: Present, _sent: Sent) -> Response:
    """Erase the permission here, and end it at LinkedIn."""
    linkedin.disconnect(visitor.learner.learner_id)
    return to_page("disconnected")


@router.post(f"{HOME}/leave")
def end_session(request: Request, _visitor: Present, _sent: Sent) -> Response:
    """End the session, as on a computer that others use."""
    answer = shown(request, "learner_refused.html", visitor=None, why="said_left", name="left")
    leave(request, answer)
    return answer


def _account(session: Session, visitor: Visitor, language: Language) -> Account:
    found = linkedin_connection.of_learner(session, visitor.learner.learner_id)
    if found is None:
        return Account("not_connected", "", can_share=False, shares_new=False)
    until = _day(language, found.expires_at.astimezone(clock.JAKARTA).date())
    shares_new = found.shares_new_since is not None
    return Account(found.state_now(), until, SHARE in found.scopes, shares_new)


def _certificates(
    session: Session, visitor: Visitor, language: Language, account: Account
) -> list[Certificate]:
    mine = sa.select(Credential).filter_by(learner_id=visitor.learner.learner_id)
    rows = list(session.scalars(mine.order_by(Credential.created_at.desc(), Credential.id).limit(MOST)))
    ids = [one.id for one in rows]
    wanted = sa.select(CredentialExport).where(
        CredentialExport.credential_id.in_(ids), CredentialExport.target == linkedin_share.TARGET
    )
    exports = {one.credential_id: one for one in session.scalars(wanted)}
    shares = linkedin_share.of_credentials(session, ids)
    say = learner_words.say(language)
    today = clock.business_date(clock.now())
    found = []
    for one in rows:
        form = linkedin.certificate(session, one)
        export = exports.get(one.id)
        share = shares.get(one.id)
        centre = session.get(TrainingCentre, one.achievement.lpk_registration_number)
        state = one.state_on(today)
        issued = _day(language, one.issued_on)
        expires = _day(language, one.expires_on) if one.expires_on else None
        may_be_asked = export is None or export.state in ("refused", "needs_attention")
        fields = [("name", form.name), ("organisation", form.organisation), ("issued", issued)]
        fields += [("expires", expires)] if expires else []
        fields += [("id", str(form.id)), ("url", form.url)]
        found.append(
            Certificate(
                id=one.id,
                name=form.name,
                centre=centre.name
                if centre is not None
                else f"LPK {one.achievement.lpk_registration_number}",
                number=one.certificate_number,
                issued=issued,
                expires=expires,
                state=state,
                page=f"/credentials/{one.id}",
                form=linkedin.form_link(form),
                fields=tuple((say(f"field_{name}"), value) for name, value in fields),
                share=_share_word(export),
                moment=_moment(language, export.next_attempt_at) if export is not None else "",
                link=export.links.get("post") if export is not None else None,
                can_share=state == "valid"
                and may_be_asked
                and account.state == "connected"
                and account.can_share,
                text=share.words() if share is not None else sharing.default_text(one),
                visibility=share.visibility if share is not None else "PUBLIC",
                is_named=one.name_is_public if one.withdrawn_at is None else None,
            )
        )
    return found


def _share_word(export: CredentialExport | None) -> str | None:
    """The word for how far a share has come."""
    if export is None:
        return None
    if export.state in ("refused", "needs_attention"):
        return learner_words.problem(export.problem)
    return f"export_{export.state}"


def _held_up(session: Session, visitor: Visitor) -> list[UUID]:
    """Shares that waited for the learner, and can go on now."""
    found: LinkedInConnection | None = linkedin_connection.of_learner(session, visitor.learner.learner_id)
    if found is None or found.state_now() != "connected" or SHARE not in found.scopes:
        return []
    wanted = (
        sa.select(CredentialExport.credential_id)
        .join(Credential, Credential.id == CredentialExport.credential_id)
        .join(LinkedInShare, LinkedInShare.credential_id == Credential.id)
        .where(
            Credential.learner_id == visitor.learner.learner_id,
            Credential.state == "valid",
            CredentialExport.target == linkedin_share.TARGET,
            CredentialExport.state == "needs_attention",
            CredentialExport.problem.in_(_WAITS_FOR_LEARNER),
        )
        .limit(asking.MOST_NAMED)
    )
    return list(session.scalars(wanted))


def _own(session: Session, visitor: Visitor, text: str) -> Credential | None:
    """The learner's credential of that id; None for any other."""
    try:
        found = session.get(Credential, UUID(text))
    except ValueError:
        return None
    return found if found is not None and found.learner_id == visitor.learner.learner_id else None


def _day(language: Language, day: date) -> str:
    return learner_words.day(language, day.year, day.month, day.day)


def _moment(language: Language, at: datetime | None) -> str:
    if at is None:
        return ""
    here = at.astimezone(clock.JAKARTA)
    return f"{_day(language, here.date())}, {here:%H:%M} WIB"

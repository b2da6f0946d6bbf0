"""LinkedIn accounts of learners: connect one, let it go, and the form that a learner fills at LinkedIn."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.orm import Session

from common import clock
from common.errors import BadInput, ProviderError
from common.settings import settings
from providers.guard import is_this_machine
from providers.linkedin.oauth import Consent, Grant
from providers.linkedin.profile import Certificate, add_link
from records import learner_session, linkedin_connection
from records.credential import Credential
from records.db import unit_of_work
from records.learner_session import Learner, Ticket
from records.linkedin_connection import Tokens
from records.training_centre import TrainingCentre

CALLBACK = "/api/v1/integrations/linkedin/callback"
OLD_MONTHS = 10  # a version lives about twelve
log = logging.getLogger("jembatan.linkedin")


def begin(
    session: Session, learner: Learner, *, browser: str | None = None, shares_new: bool = False
) -> tuple[str, datetime]:
    """Where the learner's browser goes to allow us, and until when it may come back.

    browser: the text of the session that began it: the answer counts in that browser only. Raises BadInput.
    """
    with _consent() as consent:
        verifier = consent.verifier()
        state, until = learner_session.ticket(
            session, "consent", learner, browser=browser, verifier=verifier, shares_new=shares_new
        )
        return consent.address(state, verifier), until


def finish(code: str, ticket: Ticket) -> None:
    """Keep what the learner has allowed. The ticket is used up already: whatever goes wrong, it begins anew.

    Raises ProviderError (Rejected: nothing that LinkedIn sent counts), TakenByAnother, BadInput.
    """
    with _consent() as consent:
        grant = consent.exchange(code, ticket.verifier)
        with unit_of_work() as session:
            replaced = linkedin_connection.connect(
                session,
                ticket.learner,
                tokens_of(grant),
                scopes=grant.scopes,
                expires_at=grant.expires_at,
                shares_new=ticket.shares_new,
            )
        if replaced is not None:
            _revoke(consent, replaced)


def disconnect(learner_id: str) -> bool:
    """Forget the learner's account, and have its token ended at LinkedIn as far as LinkedIn answers.

    False: there was none. The token is erased in any case.
    """
    with unit_of_work() as session:
        tokens = linkedin_connection.disconnect(session, learner_id)
    end(tokens)
    return tokens is not None


def end(tokens: Tokens | None) -> None:
    """Have tokens that were erased here ended at LinkedIn too, as far as it answers. None: nothing."""
    if tokens is None:
        return
    try:
        with _consent() as consent:
            _revoke(consent, tokens)
    except BadInput as error:  # a setting was taken away: what was asked for is done all the same
        log.warning("LinkedIn: a token was erased here and not ended there: %s", error)


def renewed(tokens: Tokens, scopes: tuple[str, ...], expires_at: datetime) -> Grant:
    """A new access token by the refresh token, which LinkedIn gives to approved partners only."""
    kept = Grant(tokens.member, tokens.access, scopes, expires_at, tokens.refresh)
    with _consent() as consent:
        return consent.refreshed(kept)


def tokens_of(grant: Grant) -> Tokens:
    """What is sealed of a grant."""
    return Tokens(grant.sub, grant.access_token, grant.refresh_token)


def certificate(session: Session, one: Credential) -> Certificate:
    """What a learner enters at LinkedIn; nothing personal. The issuer is the training centre, or whose page
    the setting names."""
    found = session.get(TrainingCentre, one.achievement.lpk_registration_number)
    centre = found.name if found is not None else None
    return certificate_of(one.id, one.achievement.content["name"], centre, one.issued_on, one.expires_on)


def certificate_of(
    id: UUID, name: str, centre: str | None, issued_on: date, expires_on: date | None
) -> Certificate:
    """The same, of what is known already. centre: the training centre's name, where it is known."""
    return Certificate(
        id=id,
        name=name,
        organisation=centre or settings().badges.issuer_name,
        organisation_id=settings().linkedin.organization_id,
        issued_on=issued_on,
        expires_on=expires_on,
        url=settings().page_url(f"/credentials/{id}"),
    )


def form_link(one: Certificate) -> str:
    """The address of LinkedIn's form, filled as far as LinkedIn fills it."""
    return add_link(one)


def version_fault() -> str | None:
    """What is to be said of the version of LinkedIn's API that is set, once it is old."""
    version = settings().linkedin.version
    now = clock.now()
    months = (now.year - int(version[:4])) * 12 + now.month - int(version[4:])
    if months <= OLD_MONTHS:
        return None
    return (
        f"JEMBATAN_LINKEDIN__VERSION {version} is {months} months old: LinkedIn answers each for about a year"
    )


def redirect_uri() -> str:
    """Where LinkedIn sends browsers back to: exactly as it is registered with the app. Raises BadInput."""
    address = settings().linkedin.redirect_uri or settings().page_url(CALLBACK)
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    is_here = settings().env == "sandbox" and parts.scheme == "http" and is_this_machine(host)
    if not host or "#" in address or not (parts.scheme == "https" or is_here):
        raise BadInput("the address for LinkedIn's answers has to be https: JEMBATAN_PUBLIC_URL")
    return address


@contextmanager
def _consent() -> Iterator[Consent]:
    own = settings().linkedin
    if not own.client_id or not own.client_secret.get_secret_value():
        raise BadInput("LinkedIn is not set up: JEMBATAN_LINKEDIN__CLIENT_ID and …__CLIENT_SECRET")
    consent = Consent(own, redirect_uri())
    try:
        yield consent
    finally:
        consent.close()


def _revoke(consent: Consent, tokens: Tokens) -> None:
    """Best effort: a token that LinkedIn does not end now ends by itself, and nobody has it any more."""
    for token in (tokens.refresh, tokens.access):
        if token is None:
            continue
        try:
            consent.revoke(token)
        except ProviderError as error:
            log.warning("LinkedIn: a token was erased here and not ended there: %s", error)

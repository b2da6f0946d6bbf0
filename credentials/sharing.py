"""Credentials shared on LinkedIn: each posted once, with its learner's consent and text.

The row of an export says `sent` before the call, and the share counts the calls of which nobody knows what
became. Who finds one sends the very same once more: LinkedIn refuses a duplicate by the id of the first,
which proves that it arrived. If that is not known either, a person looks: nothing is posted a third time by
itself.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import httpx
from sqlalchemy.orm import Session

from common import clock
from common.errors import Ambiguous, BadInput, ProviderError, Rejected
from common.settings import settings
from credentials import images, linkedin
from credentials.share_outcomes import (
    AGAIN,
    MOST_UNKNOWN,
    NO_CONSENT,
    NOT_ALLOWED,
    NOT_CONNECTED,
    PERHAPS,
    Outcomes,
    Post,
)
from providers import http
from providers.linkedin.answers import Duplicate, NeedsReconnect, NotAllowed, OldVersion
from providers.linkedin.oauth import SHARE
from providers.linkedin.posts import Member, Share
from records import credential_export, linkedin_connection, linkedin_share, process
from records.credential import Credential
from records.credential_export import CredentialExport, ExportState, Step
from records.db import unit_of_work
from records.linkedin_connection import LinkedInConnection
from records.linkedin_share import TARGET, LinkedInShare
from records.process import ProcessRun

CHUNK = 20  # shares that are held together
GIVE_UP_AFTER = timedelta(days=3)
log = logging.getLogger("jembatan.linkedin")


def export(credential_ids: Sequence[UUID]) -> list[Step]:
    """Post the shares of these credentials. Those that another worker has in hand are left to it.

    Raises BadInput where a setting stops all of them: a version that LinkedIn answers no more.
    """
    if fault := linkedin.version_fault():
        log.warning("%s", fault)
    steps: list[Step] = []
    with _line() as line:
        for at in range(0, len(credential_ids), CHUNK):
            names = {f"{TARGET} {one}": one for one in credential_ids[at : at + CHUNK]}
            with process.held_together(list(names)) as held:
                for credential_id in sorted(names[name] for name in held):
                    step = line.bring(credential_id)
                    steps += [step] if step is not None else []
    return steps


def default_text(one: Credential) -> str:
    """What is posted where the learner writes nothing else; the learner sees it before."""
    return f"Saya telah menyelesaikan {one.achievement.content['name']}."


@contextmanager
def _line() -> Iterator["_Line"]:
    client = http.client(settings().linkedin)
    try:
        yield _Line(client)
    finally:
        client.close()


class _Line:
    """Brings shares to LinkedIn, one after the other."""

    def __init__(self, client: httpx.Client) -> None:
        self._http = client
        self._outcomes = Outcomes()

    def bring(self, credential_id: UUID) -> Step | None:
        """Bring one share as far as it goes; the caller holds it alone. None: there is nothing to do."""
        with unit_of_work() as session:
            if not credential_export.hold(session, TARGET, [credential_id]):
                return None
            post = _prepared(session, credential_id, self._outcomes)
            if isinstance(post, Step):
                credential_export.apply(session, TARGET, [post])
                return post
        is_known = True
        try:
            if post.expires_at <= clock.now():
                post = _renewed(post)
            try:
                step = self._sent(post)
            except NeedsReconnect:
                if post.tokens.refresh is None:
                    raise
                post = _renewed(post)
                step = self._sent(post)
        except ProviderError as error:
            is_known = not isinstance(error, Ambiguous)
            step = self._outcomes.met(post, error)
        with unit_of_work() as session:
            _note(session, post, step, is_known=is_known)
        if step.state == "queued":
            raise BadInput(step.problem)
        return step

    def _sent(self, post: Post) -> Step:
        """Upload the picture, say that the post is sent, send it. Raises ProviderError."""
        member = Member(settings().linkedin, self._http, post.tokens.member, post.tokens.access)
        share = post.share
        if settings().linkedin.pictures and share.image is None and not post.calls:
            share = replace(share, image=_picture(member, post))
        with unit_of_work() as session:
            stopped = _claim(session, post, share.image)
        if stopped is not None:
            return stopped
        try:
            return self._outcomes.posted(post.credential_id, member.post(share))
        except Duplicate as known:
            return self._outcomes.duplicate(post.credential_id, known.urn)


def _prepared(session: Session, credential_id: UUID, outcomes: Outcomes) -> Step | Post:
    """What is to be posted, or why nothing is. The caller holds the export."""

    def ends(state: ExportState, problem: str) -> Step:
        return Step(credential_id, state, problem=problem)

    one = session.get_one(Credential, credential_id)
    state = one.state_on(clock.business_date(clock.now()))
    if state != "valid":
        return ends("refused", f"It is {state}: it is not shared.")
    row = session.get_one(CredentialExport, (credential_id, TARGET))
    share = session.get(LinkedInShare, credential_id)
    found = linkedin_connection.of_learner(session, one.learner_id)
    if share is None and (found is None or not found.shares(one.created_at)):
        return ends("refused", NO_CONSENT)
    if found is None:
        return ends("needs_attention", NOT_CONNECTED)
    if found.state_now() != "connected":
        linkedin_connection.needs_reconnect(session, found.id, found.opened().access)
        return ends("needs_attention", AGAIN)
    if SHARE not in found.scopes:
        return ends("needs_attention", NOT_ALLOWED)
    if share is None:
        words = default_text(one)
        linkedin_share.agree(session, one.id, words, "PUBLIC", agreed_with="consent to all new ones")
        share = session.get_one(LinkedInShare, credential_id)
    if row.state == "queued":  # also where a person has looked, and asks anew
        share.calls = 0
    if share.calls >= MOST_UNKNOWN:
        return ends("needs_attention", PERHAPS)
    stopped = outcomes.stops(one.id, one.learner_id, share.calls)
    if stopped is not None:
        return stopped
    run = session.get(ProcessRun, row.process_run_id) if row.process_run_id else None
    return _post(one, share, found, run)


def _post(one: Credential, share: LinkedInShare, found: LinkedInConnection, run: ProcessRun | None) -> Post:
    told = one.achievement.told()
    return Post(
        credential_id=one.id,
        learner_id=one.learner_id,
        achievement_id=one.achievement_id,
        share=Share(
            text=share.words(),
            url=settings().page_url(f"/credentials/{one.id}"),
            title=told.name,
            description=told.description,
            visibility=share.visibility,
            image=share.image,
        ),
        calls=share.calls,
        connection_id=found.id,
        tokens=found.opened(),
        scopes=tuple(found.scopes),
        expires_at=found.expires_at,
        attempts=run.attempts if run is not None else 1,
        is_late=run is not None and run.created_at < clock.now() - GIVE_UP_AFTER,
    )


def _renewed(post: Post) -> Post:
    """The post with a new access token, for the few apps that get refresh tokens. Raises NeedsReconnect."""
    if post.tokens.refresh is None:
        raise NeedsReconnect("linkedin", "refresh", "gave no way to renew the permission")
    try:
        grant = linkedin.renewed(post.tokens, post.scopes, post.expires_at)
    except Rejected:
        raise NeedsReconnect("linkedin", "refresh", "renews the permission no more") from None
    tokens = linkedin.tokens_of(grant)
    with unit_of_work() as session:
        linkedin_connection.renew(
            session, post.connection_id, tokens, scopes=grant.scopes, expires_at=grant.expires_at
        )
    return replace(post, tokens=tokens, scopes=grant.scopes, expires_at=grant.expires_at)


def _picture(member: Member, post: Post) -> str | None:
    """The uploaded picture of the badge; a post goes without one where LinkedIn will not have it."""
    drawn = images.plain(post.achievement_id)
    if drawn is None:
        return None
    try:
        return member.upload(drawn)
    except (OldVersion, NotAllowed):
        raise
    except Rejected as error:
        log.warning("a share goes without its picture: %s", error)
        return None


def _claim(session: Session, post: Post, image: str | None) -> Step | None:
    """Say that the post is sent before it is; or why it is not to be, where something changed meanwhile."""
    if not credential_export.hold(session, TARGET, [post.credential_id]):
        return Step(post.credential_id, "refused", problem="It was withdrawn.")
    if session.get(LinkedInConnection, post.connection_id) is None:
        return Step(post.credential_id, "needs_attention", problem=NOT_CONNECTED)
    one = session.get_one(Credential, post.credential_id)
    if one.state != "valid":
        return Step(post.credential_id, "refused", problem=f"It is {one.state}: it is not shared.")
    share = session.get_one(LinkedInShare, post.credential_id, with_for_update=True)
    if (share.words(), share.visibility) != (post.share.text, post.share.visibility):
        changed = "The learner has just changed its text."
        return Step(post.credential_id, "waiting", problem=changed, until=clock.now())
    share.calls, share.image = post.calls + 1, image
    session.flush()
    credential_export.apply(session, TARGET, [Step(post.credential_id, "sent")])
    return None


def _note(session: Session, post: Post, step: Step, *, is_known: bool) -> None:
    """Note how far it has come. A call of which we know what became is not counted any more."""
    credential_export.hold(session, TARGET, [post.credential_id])
    share = session.get(LinkedInShare, post.credential_id, with_for_update=True)
    if share is not None and is_known:
        share.calls = post.calls
    session.flush()
    credential_export.apply(session, TARGET, [step])

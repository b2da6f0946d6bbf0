"""Credentials shared on LinkedIn: each posted once, with its learner's consent and text.

The row of an export says `sent` before the call, and the share counts the calls of which nobody knows what
became. Who finds one sends the very same once more: LinkedIn refuses a duplicate by the id of the first,
which proves that it arrived. If that is not known either, a person looks: nothing is posted a third time by
itself.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

import httpx
from sqlalchemy.orm import Session

from common import clock
from common.errors import Ambiguous, BadInput, ProviderError, RateLimited, Rejected, Transient
from common.settings import settings
from credentials import images, linkedin
from providers import http
from providers.linkedin.answers import Duplicate, Limited, NeedsReconnect, NotAllowed, OldVersion
from providers.linkedin.oauth import SHARE
from providers.linkedin.posts import Member, Share
from records import credential_export, linkedin_connection, linkedin_share, process
from records.credential import Credential
from records.credential_export import CredentialExport, Step
from records.db import unit_of_work
from records.linkedin_connection import LinkedInConnection, Tokens
from records.linkedin_share import TARGET, LinkedInShare
from records.process import ProcessRun

CHUNK = 20  # shares that are held together
UNANSWERED = 3  # calls in a row; then LinkedIn is left alone until the next attempt
MOST_UNKNOWN = 2  # calls for one post of which nobody knows what became
REPEAT_AFTER = timedelta(minutes=1)
FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=3)
log = logging.getLogger("jembatan.linkedin")

# What the learner's page translates: it shows these by their state, people of the operator read them.
AGAIN = "LinkedIn has to be connected again: its permission has ended."
NOT_CONNECTED = "The learner has not connected LinkedIn."
NOT_ALLOWED = "LinkedIn does not let us post for this learner: connect it again, and allow posting."
NO_CONSENT = "The learner has not agreed to share it on LinkedIn."
REPEATS = "LinkedIn takes it for a repeat of another credential's post: change the text."
PERHAPS = "It may have been posted: look at the learner's profile, and share it again if it is not there."


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


@contextmanager
def _line() -> Iterator["_Line"]:
    client = http.client(settings().linkedin)
    try:
        yield _Line(client)
    finally:
        client.close()


@dataclass(frozen=True)
class _Post:
    """One share that is to be sent. calls: of which nobody knows what became, before this one."""

    credential_id: UUID
    learner_id: str
    achievement_id: UUID
    share: Share
    calls: int
    connection_id: UUID
    tokens: Tokens
    scopes: tuple[str, ...]
    expires_at: datetime
    attempts: int
    is_late: bool


class _Line:
    """LinkedIn as one batch meets it: whose posts and until when it takes no more of them."""

    def __init__(self, client: httpx.Client) -> None:
        self._http = client
        self._all_until: tuple[datetime, str] | None = None
        self._until: dict[str, tuple[datetime, str]] = {}
        self._not_allowed: set[str] = set()
        self._unanswered = 0

    def bring(self, credential_id: UUID) -> Step | None:
        """Bring one share as far as it goes; the caller holds it alone. None: there is nothing to do."""
        with unit_of_work() as session:
            if not credential_export.hold(session, TARGET, [credential_id]):
                return None
            found = self._prepared(session, credential_id)
            if isinstance(found, Step):
                credential_export.apply(session, TARGET, [found])
                return found
        try:
            step = self._sent(self._living(found))
        except ProviderError as error:  # before the post was sent
            step = self._met(found, error)
        with unit_of_work() as session:
            step = self._noted(session, found, step)
        if step.state == "queued":
            raise BadInput(f"{step.problem} Set JEMBATAN_LINKEDIN__VERSION to a newer one")
        return step

    def _prepared(self, session: Session, credential_id: UUID) -> Step | _Post:
        """What is to be posted, or why nothing is."""

        def ends(state: credential_export.ExportState, problem: str) -> Step:
            return Step(credential_id, state, problem=problem)

        one = session.get_one(Credential, credential_id)
        state = one.state_on(clock.business_date(clock.now()))
        if state != "valid":
            return ends("refused", f"It is {state}: it is not shared.")
        row = session.get_one(CredentialExport, (credential_id, TARGET))
        share = session.get(LinkedInShare, credential_id)
        found = linkedin_connection.of_learner(session, one.learner_id)
        if share is None and (found is None or not found.shares_new):
            return ends("refused", NO_CONSENT)
        if found is None:
            return ends("needs_attention", NOT_CONNECTED)
        if found.state_now() != "connected":
            linkedin_connection.needs_reconnect(session, found.id, found.opened().access)
            return ends("needs_attention", AGAIN)
        if SHARE not in found.scopes or one.learner_id in self._not_allowed:
            return ends("needs_attention", NOT_ALLOWED)
        if share is None:
            words = default_text(one)
            linkedin_share.agree(session, one.id, words, "PUBLIC", agreed_with="consent to all new ones")
            share = session.get_one(LinkedInShare, credential_id)
        if row.state == "queued":  # also where a person has looked, and asks anew
            share.calls = 0
        if share.calls >= MOST_UNKNOWN:
            return ends("needs_attention", PERHAPS)
        if wait := self._all_until or self._until.get(one.learner_id):
            # What may have been posted stays unknown, and waits as well.
            return Step(
                credential_id, "unknown" if share.calls else "waiting", problem=wait[1], until=wait[0]
            )
        run = session.get(ProcessRun, row.process_run_id) if row.process_run_id else None
        return _post(one, share, found, run)

    def _living(self, post: _Post) -> _Post:
        """The post with an access token that lives, renewed where that can be done."""
        if post.expires_at > clock.now() or post.tokens.refresh is None:
            return post
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

    def _sent(self, post: _Post) -> Step:
        """Upload the picture, say that the post is sent, send it."""
        member = Member(settings().linkedin, self._http, post.tokens.member, post.tokens.access)
        share = post.share
        if settings().linkedin.pictures and share.image is None and not post.calls:
            share = replace(share, image=self._picture(member, post))
        with unit_of_work() as session:
            stopped = _claimed(session, post, share.image)
        if stopped is not None:
            return stopped
        try:
            urn = member.post(share)
        except Duplicate as known:
            return self._duplicate(post, known.urn)
        except ProviderError as error:
            return self._met(post, error)
        self._unanswered = 0
        return _done(post.credential_id, urn)

    def _picture(self, member: Member, post: _Post) -> str | None:
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

    def _duplicate(self, post: _Post, urn: str | None) -> Step:
        """LinkedIn has it already: by an earlier call of ours, or for it the text repeats another post."""
        self._unanswered = 0
        if urn is not None:
            with unit_of_work() as session:
                owner = linkedin_share.posts(session, [urn]).get(urn, post.credential_id)
            if owner != post.credential_id:
                return Step(post.credential_id, "needs_attention", problem=REPEATS)
        return _done(post.credential_id, urn)

    def _met(self, post: _Post, error: ProviderError) -> Step:
        """What follows from an error: for this share, and for those that come after it."""
        said = f"{error}."
        is_silent = isinstance(error, Ambiguous) or (
            isinstance(error, Transient) and not isinstance(error, RateLimited)
        )
        self._unanswered = self._unanswered + 1 if is_silent else 0
        match error:
            case NeedsReconnect():
                with unit_of_work() as session:
                    linkedin_connection.needs_reconnect(session, post.connection_id, post.tokens.access)
                return Step(post.credential_id, "needs_attention", problem=AGAIN)
            case NotAllowed():
                self._not_allowed.add(post.learner_id)
                return Step(post.credential_id, "needs_attention", problem=NOT_ALLOWED)
            case OldVersion():
                return Step(post.credential_id, "queued", problem=said)
            case Limited():
                return self._limited(post, error)
            case Ambiguous():
                return self._unknown(post, said)
            case Transient():
                return self._later(post, said)
        return Step(post.credential_id, "refused", problem=said)

    def _limited(self, post: _Post, error: Limited) -> Step:
        """Later, for the member or for all: as LinkedIn says, and at a daily limit on the next UTC day. One
        that says nothing of itself, and is still there at the second attempt, is taken for a daily one."""
        now = clock.now()
        if error.is_daily or (not error.retry_after and post.attempts > 1):
            until = _next_utc_day(now)
        else:
            until = now + max(timedelta(seconds=error.retry_after), _pause(post.attempts))
        wait = (until, f"{error}.")
        if error.is_for_all:
            self._all_until = wait
        else:
            self._until[post.learner_id] = wait
        return self._put_off(post, f"{error}.", until)

    def _unknown(self, post: _Post, said: str) -> Step:
        if post.calls + 1 >= MOST_UNKNOWN:
            return Step(post.credential_id, "needs_attention", problem=f"{said} {PERHAPS}")
        self._give_up_on_silence(said)
        return Step(post.credential_id, "unknown", problem=said, until=clock.now() + REPEAT_AFTER)

    def _later(self, post: _Post, said: str) -> Step:
        if post.is_late:
            return Step(post.credential_id, "needs_attention", problem=f"{said} It was not posted.")
        self._give_up_on_silence(said)
        return self._put_off(post, said, clock.now() + _pause(post.attempts))

    def _put_off(self, post: _Post, said: str, until: datetime) -> Step:
        """What may have been posted by an earlier call stays unknown."""
        state: credential_export.ExportState = "unknown" if post.calls else "waiting"
        return Step(post.credential_id, state, problem=said, until=until)

    def _give_up_on_silence(self, said: str) -> None:
        if self._unanswered >= UNANSWERED:
            self._all_until = (clock.now() + FIRST_WAIT, f"LinkedIn does not answer; not sent yet. {said}")

    def _noted(self, session: Session, post: _Post, step: Step) -> Step:
        """Note how far it has come. A call that surely posted nothing counts as none."""
        credential_export.hold(session, TARGET, [post.credential_id])
        share = session.get(LinkedInShare, post.credential_id, with_for_update=True)
        is_unknown = step.state == "unknown" or PERHAPS in (step.problem or "")
        if share is not None and not (is_unknown and share.calls > post.calls):
            share.calls = post.calls
        session.flush()
        credential_export.apply(session, TARGET, [step])
        return step


def _claimed(session: Session, post: _Post, image: str | None) -> Step | None:
    """Say that the post is sent before it is; or why it is not to be, where something changed meanwhile."""
    if not credential_export.hold(session, TARGET, [post.credential_id]):
        return Step(post.credential_id, "refused", problem="It was withdrawn.")
    found = session.get(LinkedInConnection, post.connection_id, populate_existing=True)
    if found is None:
        return Step(post.credential_id, "needs_attention", problem=NOT_CONNECTED)
    one = session.get_one(Credential, post.credential_id, populate_existing=True)
    if one.state != "valid":
        return Step(post.credential_id, "refused", problem=f"It is {one.state}: it is not shared.")
    share = session.get_one(LinkedInShare, post.credential_id, with_for_update=True, populate_existing=True)
    if (share.words(), share.visibility) != (post.share.text, post.share.visibility):
        changed = "The learner has just changed its text."
        return Step(post.credential_id, "waiting", problem=changed, until=clock.now())
    share.calls, share.image = post.calls + 1, image
    session.flush()
    credential_export.apply(session, TARGET, [Step(post.credential_id, "sent")])
    return None


def _post(one: Credential, share: LinkedInShare, found: LinkedInConnection, run: ProcessRun | None) -> _Post:
    told = one.achievement.told()
    return _Post(
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


def default_text(one: Credential) -> str:
    """What is posted where the learner writes nothing else; the learner sees it before."""
    return f"Saya telah menyelesaikan {one.achievement.content['name']}."


def _done(credential_id: UUID, urn: str | None) -> Step:
    links = {"post": f"https://www.linkedin.com/feed/update/{urn}/"} if urn else {}
    return Step(credential_id, "done", links, external_id=urn)


def _pause(attempts: int) -> timedelta:
    doubled: timedelta = FIRST_WAIT * 2 ** min(max(attempts - 1, 0), 8)
    return min(doubled, LONGEST_WAIT)


def _next_utc_day(now: datetime) -> datetime:
    """When LinkedIn counts anew: midnight UTC, and a minute for clocks that differ."""
    tomorrow = (now.astimezone(UTC) + timedelta(days=1)).date()
    return datetime.combine(tomorrow, time(0, 1), UTC)

"""What follows from LinkedIn's answer to a post: for that share, and for those after it in its batch."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from common import clock
from common.errors import Ambiguous, AuthFailed, ProviderError, RateLimited, Transient
from providers.linkedin.answers import Limited, NeedsReconnect, NotAllowed, OldVersion
from providers.linkedin.posts import Share
from records import linkedin_connection, linkedin_share
from records.credential_export import ExportState, Step
from records.db import unit_of_work
from records.linkedin_connection import Tokens

UNANSWERED = 3  # calls in a row; then LinkedIn is left alone until the next attempt
MOST_UNKNOWN = 2  # calls for one post of which nobody knows what became
REPEAT_AFTER = timedelta(minutes=1)
FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)

# People of the operator read these; the learner's page has words of its own for each.
AGAIN = "LinkedIn has to be connected again: its permission has ended."
NOT_CONNECTED = "The learner has not connected LinkedIn."
NOT_ALLOWED = "LinkedIn does not let us post for this learner: connect it again, and allow posting."
NO_CONSENT = "The learner has not agreed to share it on LinkedIn."
REPEATS = "LinkedIn takes it for a repeat of another credential's post: change the text."
PERHAPS = "It may have been posted: look at the learner's profile, and share it again if it is not there."


@dataclass(frozen=True)
class Post:
    """One share that is to be sent. calls: of which nobody knows what became, before this one. attempts: of
    its process. is_late: it has been tried for days."""

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


class Outcomes:
    """LinkedIn as one batch meets it: whose posts it takes no more of, until when, and whether it answers."""

    def __init__(self) -> None:
        self._all_until: tuple[datetime, str] | None = None
        self._until: dict[str, tuple[datetime, str]] = {}
        self._not_allowed: set[str] = set()
        self._unanswered = 0

    def stops(self, credential_id: UUID, learner_id: str, calls: int) -> Step | None:
        """Why a share is not to be tried now, after what was met before it; None: it is."""
        if learner_id in self._not_allowed:
            return Step(credential_id, "needs_attention", problem=NOT_ALLOWED)
        wait = self._all_until or self._until.get(learner_id)
        return _put_off(credential_id, calls, wait[1], wait[0]) if wait is not None else None

    def posted(self, credential_id: UUID, urn: str | None) -> Step:
        """It is out; urn: LinkedIn's name of it, where that is known."""
        self._unanswered = 0
        links = {"post": f"https://www.linkedin.com/feed/update/{urn}/"} if urn else {}
        return Step(credential_id, "done", links, external_id=urn)

    def duplicate(self, credential_id: UUID, urn: str | None) -> Step:
        """LinkedIn has it already: by an earlier call of ours, or for it the text repeats another post."""
        if urn is not None:
            with unit_of_work() as session:
                owner = linkedin_share.posts(session, [urn]).get(urn, credential_id)
            if owner != credential_id:
                return Step(credential_id, "needs_attention", problem=REPEATS)
        return self.posted(credential_id, urn)

    def met(self, post: Post, error: ProviderError) -> Step:
        """What follows from an error. A step back to `queued` stops the whole batch: a setting is wrong."""
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
                mend = "Set JEMBATAN_LINKEDIN__VERSION to a newer month"
                return Step(post.credential_id, "queued", problem=f"{said} {mend}")
            case AuthFailed():
                mend = "Set JEMBATAN_LINKEDIN__CLIENT_ID and …__CLIENT_SECRET"
                return Step(post.credential_id, "queued", problem=f"{said} {mend}")
            case Limited():
                return self._limited(post, error)
            case Ambiguous():
                return self._unknown(post, said)
            case Transient():
                return self._later(post, said)
        return Step(post.credential_id, "refused", problem=said)

    def _limited(self, post: Post, error: Limited) -> Step:
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
        return _put_off(post.credential_id, post.calls, f"{error}.", until)

    def _unknown(self, post: Post, said: str) -> Step:
        if post.calls + 1 >= MOST_UNKNOWN:
            return Step(post.credential_id, "needs_attention", problem=f"{said} {PERHAPS}")
        self._give_up_on_silence(said)
        return Step(post.credential_id, "unknown", problem=said, until=clock.now() + REPEAT_AFTER)

    def _later(self, post: Post, said: str) -> Step:
        if post.is_late:
            words = PERHAPS if post.calls else "It was not posted."
            return Step(post.credential_id, "needs_attention", problem=f"{said} {words}")
        self._give_up_on_silence(said)
        return _put_off(post.credential_id, post.calls, said, clock.now() + _pause(post.attempts))

    def _give_up_on_silence(self, said: str) -> None:
        if self._unanswered >= UNANSWERED:
            self._all_until = (clock.now() + FIRST_WAIT, f"LinkedIn does not answer; not sent yet. {said}")


def _put_off(credential_id: UUID, calls: int, said: str, until: datetime) -> Step:
    """What may have been posted by an earlier call stays unknown, and waits as well."""
    state: ExportState = "unknown" if calls else "waiting"
    return Step(credential_id, state, problem=said, until=until)


def _pause(attempts: int) -> timedelta:
    doubled: timedelta = FIRST_WAIT * 2 ** min(max(attempts - 1, 0), 8)
    return min(doubled, LONGEST_WAIT)


def _next_utc_day(now: datetime) -> datetime:
    """When LinkedIn counts anew: midnight UTC, and a minute for clocks that differ."""
    tomorrow = (now.astimezone(UTC) + timedelta(days=1)).date()
    return datetime.combine(tomorrow, time(0, 1), UTC)

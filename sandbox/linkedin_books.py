"""What LinkedIn knows: members, grants (codes and tokens), posts, pictures. Used on the event loop only."""

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sandbox.kept_lines import KeptLines
from sandbox.linkedin_errors import LinkedInRefusal


@dataclass
class Member:
    """Somebody with an account; sub is the id that this app sees."""

    sub: str
    given_name: str
    family_name: str = ""
    email: str = ""
    email_verified: bool = True
    language: str = "in"
    country: str = "ID"

    @property
    def name(self) -> str:
        """The whole name; many people have one word only."""
        return f"{self.given_name} {self.family_name}".strip()


@dataclass
class Code:
    """An authorisation code: good once, for one redirect address."""

    member: Member
    redirect_uri: str
    scopes: frozenset[str]
    challenge: str
    until: float
    used: bool = False


@dataclass
class Token:
    """An access token, known by its digest. until: seconds since 1970, as it lives on over a restart."""

    digest: str
    sub: str
    scopes: list[str]
    until: float
    revoked: bool = False

    @property
    def is_live(self) -> bool:
        """Whether a call may be made with it."""
        return not self.revoked and self.until > time.time()


@dataclass
class Post:
    """A share. attempts: how often its content was sent, refused repeats included."""

    id: str
    author: str
    content: str
    commentary: str
    source: str
    thumbnail: str
    media: str
    visibility: str
    created_at: str
    deleted: bool = False
    attempts: int = 1


@dataclass
class Picture:
    """An image that was announced, and perhaps uploaded."""

    urn: str
    sub: str
    size: int = 0
    content_hash: str = ""


@dataclass
class Books:
    """Everything. kept: the file beside the journal; codes and pictures are not kept over a restart."""

    kept: KeptLines
    members: dict[str, Member] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    posts: dict[str, Post] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    posted: dict[tuple[date, str], int] = field(default_factory=dict)  # by UTC day and author
    _by_content: dict[str, Post] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._first_members()
        for line in self.kept.read():
            self._replay(line)

    def _first_members(self) -> None:
        for member in (
            Member("782bbtaQ", "Budi", "Santoso", "budi@example.com"),
            Member("5kD-siti", "Siti", "Aminah", "siti@example.com"),
            Member("1kata_x9", "Sukirman", email="sukirman@example.com", email_verified=False),
        ):
            self.members[member.sub] = member

    def join(self, member: Member) -> None:
        """Let somebody have an account."""
        self.members[member.sub] = member
        self.kept.add(kind="member", **asdict(member))

    def allow(self, code: Code) -> str:
        """A code for what a member has agreed to."""
        self.codes = {text: one for text, one in self.codes.items() if one.until > time.time()}
        text = f"AQ{secrets.token_urlsafe(48)}"
        self.codes[text] = code
        return text

    def give(self, member: Member, scopes: frozenset[str], seconds: float, *, one_grant: bool) -> str:
        """An access token; a grant with other scopes ends the older ones."""
        if one_grant:
            for token in self.tokens.values():
                if token.sub == member.sub and set(token.scopes) != scopes:
                    self.end(token, revoked=True)
        text = f"AQX{secrets.token_urlsafe(200)}"
        given = Token(_digest(text), member.sub, sorted(scopes), time.time() + seconds)
        self.tokens[given.digest] = given
        self.kept.add(kind="token", **asdict(given))
        return text

    def token(self, text: str) -> Token | None:
        """The token, live or not."""
        return self.tokens.get(_digest(text))

    def end(self, token: Token, *, revoked: bool) -> None:
        """Let a token be revoked, or run out now."""
        token.revoked = token.revoked or revoked
        token.until = min(token.until, time.time())
        self.kept.add(kind="token", **asdict(token))

    def end_all(self) -> None:
        """Every token runs out now."""
        for token in self.tokens.values():
            if token.is_live:
                self.end(token, revoked=False)

    def bearer(self, header: str) -> tuple[Token, Member]:
        """Whose call it is; raises LinkedInRefusal 401."""
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise LinkedInRefusal(401, "EMPTY_ACCESS_TOKEN", "Empty oauth2 access token", 65604)
        token = self.token(text.strip())
        if token is None:
            raise LinkedInRefusal(401, "INVALID_ACCESS_TOKEN", "Invalid access token", 65600)
        if token.revoked:
            words = "The token used in the request has been revoked by the user"
            raise LinkedInRefusal(401, "REVOKED_ACCESS_TOKEN", words, 65601)
        if not token.is_live:
            words = "The token used in the request has expired"
            raise LinkedInRefusal(401, "EXPIRED_ACCESS_TOKEN", words, 65602)
        return token, self.members[token.sub]

    def twin(self, content: str) -> Post | None:
        """The post with this content by the same author; a deleted one is remembered too."""
        return self._by_content.get(content)

    def publish(self, post: Post) -> None:
        """Enter a post."""
        self._enter(post)
        self.kept.add(kind="post", **asdict(post))

    def note(self, post: Post) -> None:
        """Keep what has changed about a post."""
        self.kept.add(kind="post", **asdict(post))

    def count(self, author: str) -> tuple[int, int]:
        """Posts of today (UTC): by the author, by all."""
        today = datetime.now(UTC).date()
        everybody = sum(number for (day, _), number in self.posted.items() if day == today)
        return self.posted.get((today, author), 0), everybody

    def clear(self) -> None:
        """Begin again with the first members and nothing else."""
        for kind in (self.members, self.codes, self.tokens, self.posts, self.pictures, self.posted):
            kind.clear()
        self._by_content.clear()
        self.kept.clear()
        self._first_members()

    def _enter(self, post: Post) -> None:
        if post.id not in self.posts:
            day = datetime.fromisoformat(post.created_at).date()
            self.posted[day, post.author] = self.posted.get((day, post.author), 0) + 1
        self.posts[post.id] = post
        self._by_content[post.content] = post

    def _replay(self, line: dict[str, Any]) -> None:
        match line.pop("kind"):
            case "member":
                self.members[line["sub"]] = Member(**line)
            case "token":
                self.tokens[line["digest"]] = Token(**line)
            case "post":
                self._enter(Post(**line))


def content_of(author: str, commentary: str, source: str, media: str) -> str:
    """What two posts must have in common to be duplicates."""
    return _digest("\n".join((author, commentary.strip(), source, media)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""API clients: who may call us, with which keys and scopes, and where they hear of events."""

import base64
import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, selectinload

from common import clock
from common.errors import BadInput
from records.db import Base
from records.sealed import seal_json, unseal_json

AREAS = (
    "payments",
    "refunds",
    "approvals",
    "reconciliations",
    "exceptions",
    "processes",
    "events",
    "siplatih",
    "credentials",
    "linkedin",
    "europass",
    "learners",
    "persons",
)
_VERBS = ("read", "write")
# To see a whole NIK: no other scope includes it, not even `*`. It is given to who needs it, by its name.
REVEAL = "persons:reveal"
SCOPES = ("*", *AREAS, *(f"{area}:{verb}" for area in AREAS for verb in _VERBS), REVEAL)
RATE_PER_MINUTE = 30_000

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = re.compile(r"jbt_([a-z0-9]{12})_([A-Za-z0-9]{43})")  # 43 letters and digits: 256 random bits
_USED_AGAIN = timedelta(minutes=1)
_SIGNING_SECRETS = 2  # the newest and the one before: receivers change theirs while both sign
_TIME = TIMESTAMP(timezone=True)

Refusal = Literal["unknown", "expired", "revoked"]


def _rights(scope: str) -> frozenset[tuple[str, str]]:
    """What a scope allows, as pairs of area and verb. `write` includes `read`, an area alone is both;
    `reveal` is neither."""
    if scope == REVEAL:
        return frozenset({("persons", "reveal")})
    if scope == "*":
        return frozenset((area, verb) for area in AREAS for verb in _VERBS)
    area, _, verb = scope.partition(":")
    return frozenset({(area, "read")} if verb == "read" else {(area, "read"), (area, "write")})


_RIGHTS = {scope: _rights(scope) for scope in SCOPES}


def allows(scopes: Iterable[str], wanted: str) -> bool:
    """Whether these scopes together allow everything that the scope `wanted` stands for.

    A stored scope that this version does not know allows nothing; an unknown `wanted` is a KeyError.
    """
    needed = _RIGHTS[wanted]
    return needed <= frozenset().union(*(_RIGHTS.get(scope, frozenset()) for scope in scopes))


class Client(Base):
    """A system that calls our API, and may be told of events."""

    __tablename__ = "clients"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("uuidv7()"))
    name: Mapped[str] = mapped_column(sa.Text)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    rate_per_minute: Mapped[int]
    endpoint_url: Mapped[str | None] = mapped_column(sa.Text)
    endpoint_secrets: Mapped[bytes | None]  # sealed; `signing_secrets` opens them
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    revoked_at: Mapped[datetime | None] = mapped_column(_TIME)
    keys: Mapped[list["ApiKey"]] = relationship(order_by="ApiKey.created_at")


class ApiKey(Base):
    """One key of a client: its public id and a hash of its secret. A client may have several at a time."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    client_id: Mapped[UUID] = mapped_column(sa.ForeignKey("clients.id"))
    hash: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    expires_at: Mapped[datetime | None] = mapped_column(_TIME)
    revoked_at: Mapped[datetime | None] = mapped_column(_TIME)
    last_used_at: Mapped[datetime | None] = mapped_column(_TIME)


@dataclass(frozen=True)
class NewKey:
    """A key at the one moment when its text is known."""

    id: str
    text: str = field(repr=False)
    expires_at: datetime | None


def create(
    session: Session,
    name: str,
    scopes: Iterable[str],
    *,
    rate_per_minute: int = RATE_PER_MINUTE,
    expires_at: datetime | None = None,
) -> tuple[Client, NewKey]:
    """A new client and its first key. Raises BadInput for a name or a scope that cannot be, or is taken."""
    if not _NAME.fullmatch(name):
        raise BadInput("The name of a client is 1 to 64 characters of a-z, A-Z, 0-9, '.', '_' and '-'")
    client = session.scalar(
        insert(Client)
        .values(name=name, scopes=_known(scopes), rate_per_minute=rate_per_minute)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(Client)
    )
    if client is None:
        raise BadInput(
            f"There is a client {name} already: `jembatan clients new-key {name}` gives it another key; "
            "or choose another name (that of a revoked client stays taken)"
        )
    return client, new_key(session, client, expires_at)


def new_key(session: Session, client: Client, expires_at: datetime | None = None) -> NewKey:
    """One more key for a client. Its other keys stay as they are, so that a rotation has no gap."""
    _refuse_revoked(client)
    id_ = _random(string.ascii_lowercase + string.digits, 12)
    secret = _random(string.ascii_letters + string.digits, 43)
    session.add(ApiKey(id=id_, client_id=client.id, hash=_hash(secret), expires_at=expires_at))
    session.flush()
    return NewKey(id_, f"jbt_{id_}_{secret}", expires_at)


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that a presented key belongs to, and what it may do."""

    client_id: UUID
    name: str
    scopes: tuple[str, ...]
    rate_per_minute: int


# Each request asks this: a key that was revoked is shut from the next request on, in every process.
_FIND = b"""
    SELECT k.hash, k.revoked_at, c.revoked_at, k.expires_at, k.last_used_at, c.id, c.name, c.scopes,
        c.rate_per_minute
    FROM api_keys k JOIN clients c ON c.id = k.client_id WHERE k.id = %s"""
# For a statement that does something only where a key that was read a moment ago opens the door still.
STILL_OPEN = """
    SELECT FROM api_keys k JOIN clients c ON c.id = k.client_id
    WHERE k.id = %(key_id)s AND k.revoked_at IS NULL AND c.revoked_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > %(key_at)s)
        AND c.id = %(key_client)s AND c.scopes = %(key_scopes)s AND c.rate_per_minute = %(key_rate)s"""
# Of many requests at once one writes; the others skip the row that it has locked and do not wait.
_USED = b"""
    UPDATE api_keys SET last_used_at = %(at)s WHERE id = (
        SELECT id FROM api_keys WHERE id = %(id)s AND (last_used_at IS NULL OR last_used_at <= %(before)s)
        FOR NO KEY UPDATE SKIP LOCKED)"""


def still_open(key: str, caller: Caller) -> dict[str, object]:
    """What STILL_OPEN is asked with: the id of a key, and what it opened when it was read."""
    return {
        "key_id": key,
        "key_at": clock.now(),
        "key_client": caller.client_id,
        "key_scopes": list(caller.scopes),
        "key_rate": caller.rate_per_minute,
    }


def find(db: psycopg.Connection, presented: str) -> Caller | Refusal:
    """Whose key that is, or why it opens nothing; notes that it was used, to the minute.

    Whether a key is expired or revoked is told only to who knows its secret.
    """
    shape = _KEY.fullmatch(presented)
    if shape is None:
        return "unknown"
    found = db.execute(_FIND, (shape[1],)).fetchone()
    if found is None or not hmac.compare_digest(found[0], _hash(shape[2])):
        return "unknown"
    _, key_revoked_at, client_revoked_at, expires_at, last_used_at, client_id, name, scopes, rate = found
    at = clock.now()
    if key_revoked_at is not None or client_revoked_at is not None:
        return "revoked"
    if expires_at is not None and expires_at <= at:
        return "expired"
    if last_used_at is None or last_used_at <= at - _USED_AGAIN:
        db.execute(_USED, {"id": shape[1], "at": at, "before": at - _USED_AGAIN})
    return Caller(client_id, name, tuple(scopes), rate)


def key_id(key: str) -> str:
    """The public part of a key, by which it is listed; also of a text that only looks like one."""
    return key.removeprefix("jbt_").partition("_")[0]


def named(session: Session, name: str) -> Client:
    """The client of that name; raises BadInput where there is none."""
    client = session.scalar(sa.select(Client).where(Client.name == name))
    if client is None:
        raise BadInput(f"There is no client {name!r}; `jembatan clients list` shows them")
    return client


def every(session: Session) -> list[Client]:
    """All clients with their keys, by name; the revoked ones too."""
    return list(session.scalars(sa.select(Client).options(selectinload(Client.keys)).order_by(Client.name)))


def revoke(session: Session, client: Client) -> None:
    """Close the door to a client for good, whatever keys it has. Again changes nothing."""
    _lock(session, client)
    client.revoked_at = client.revoked_at or clock.now()


def revoke_key(session: Session, client: Client, key: str) -> str:
    """Close one key of a client, named by its id or given whole, as one finds it where it leaked.

    Gives back the id. Raises BadInput where the client has no such key; the message does not repeat it.
    """
    named_id = key_id(key)
    found = session.get(ApiKey, named_id, with_for_update=True)
    if found is None or found.client_id != client.id:
        raise BadInput(
            f"The client {client.name} has no such key; `jembatan clients show {client.name}` lists them"
        )
    found.revoked_at = found.revoked_at or clock.now()
    return named_id


def set_endpoint(session: Session, client: Client, url: str) -> str:
    """Have events sent to `url`, which the caller has checked; gives back the new signing secret.

    A secret that there was goes on signing beside the new one, until the next is made.
    """
    _lock(session, client)
    _refuse_revoked(client)
    # As Standard Webhooks writes them: https://www.standardwebhooks.com, "Signature scheme".
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    client.endpoint_secrets = seal_json([secret, *signing_secrets(client)][:_SIGNING_SECRETS])
    client.endpoint_url = url
    return secret


def rotate_secret(session: Session, client: Client) -> str:
    """Another signing secret for the endpoint there is; the one before goes on signing beside it."""
    _lock(session, client)
    if client.endpoint_url is None:
        raise BadInput(
            f"The client {client.name} has no endpoint; `jembatan clients endpoint {client.name} URL` sets it"
        )
    return set_endpoint(session, client, client.endpoint_url)


def remove_endpoint(session: Session, client: Client) -> None:
    """Send this client no more events, and forget its signing secrets."""
    _lock(session, client)
    client.endpoint_url = client.endpoint_secrets = None


def signing_secrets(client: Client) -> list[str]:
    """The secrets that events to this client are signed with, the newest first."""
    opened: list[str] = unseal_json(client.endpoint_secrets) if client.endpoint_secrets else []
    return opened


def _known(scopes: Iterable[str]) -> list[str]:
    asked = list(dict.fromkeys(scopes))
    if not asked:
        raise BadInput("A client without a scope could do nothing: give it one or more")
    for scope in asked:
        if scope not in SCOPES:
            raise BadInput(
                f"There is no scope {scope!r}; there are {', '.join(AREAS)}, each as it is or with :read or "
                ":write, and * for everything"
            )
    return asked


def _refuse_revoked(client: Client) -> None:
    if client.revoked_at is not None:
        raise BadInput(f"The client {client.name} is revoked for good; create one with another name")


def _lock(session: Session, client: Client) -> None:
    """The row as it is now, for this unit of work alone; payments may refer to it meanwhile."""
    session.flush()  # a refresh would drop what this unit of work has changed
    session.refresh(client, with_for_update={"key_share": True})


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _hash(secret: str) -> bytes:
    """SHA-256 and no slow hash: nobody guesses 256 random bits (docs/decisions/0010-api-keys.md)."""
    return hashlib.sha256(secret.encode()).digest()

"""Credentials: what a learner achieved, one for each learner, program and certificate number.

Told again it is the same credential: it keeps its id, its place in the status list and its badge. Personal
data is sealed; a badge has a hash of the e-mail address and nothing else of the person. Their states are in
`credential_state`, where they are exported to in `credential_export`.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from records import credential_export, status_list
from records.db import Base, driver
from records.process import ProcessRun
from records.sealed import seal, unseal

_TIME = TIMESTAMP(timezone=True)
_MAKING = 0x63726564  # any number that nobody else uses: who makes credentials takes turns
_SALT_BYTES = 16  # 128 bits, as the standard asks for


@dataclass(frozen=True)
class Unit:
    """A unit of competency of the national framework (SKKNI). code: such as `J.620100.004.02`.
    title_en: in English, where that was told."""

    code: str
    title: str
    title_en: str | None = None


@dataclass(frozen=True)
class Content:
    """What was achieved, as a badge says it. kkni_level: 1 to 9. hours: of training, all in all.
    …_en: in English, for Europass; isced_f: field of education and training, such as `0613`."""

    name: str
    description: str
    criteria: str
    skkni_units: tuple[Unit, ...] = ()
    kkni_level: int | None = None
    hours: int | None = None
    name_en: str | None = None
    description_en: str | None = None
    criteria_en: str | None = None
    isced_f: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is stored; members without a value are left out."""
        stored = _with_values(asdict(self))
        if self.skkni_units:
            stored["skkni_units"] = [_with_values(asdict(unit)) for unit in self.skkni_units]
        return stored


def _with_values(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, ())}


@dataclass(frozen=True)
class Holder:
    """One learner's part. learner_id: the platform's. name: sealed, as a completion has it already. score: as
    it is to be shown, such as `92.50`.

    name_is_public: the learner agreed that the public page shows the name.
    """

    learner_id: str
    name: bytes = field(repr=False)
    certificate_number: str
    email: str | None = field(default=None, repr=False)
    score: str | None = None
    name_is_public: bool = False


class Achievement(Base):
    """What many learners achieve alike: the content of their badges. digest: of all that it says."""

    __tablename__ = "achievements"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("gen_random_uuid()"))
    program_code: Mapped[str] = mapped_column(sa.Text)
    lpk_registration_number: Mapped[str] = mapped_column(sa.Text)
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    digest: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))

    def told(self) -> Content:
        """The content as it was told to us."""
        units = tuple(Unit(**unit) for unit in self.content.get("skkni_units", ()))
        return Content(**{**self.content, "skkni_units": units})


class Credential(Base):
    """One learner's credential. id: random, it is the public address. subject_id: names the learner in the
    badge and nowhere else. name, email: the learner's, sealed. reason: why it is not valid.
    withdrawn_at: the learner had the personal data erased; the place in the status list stays.
    """

    __tablename__ = "credentials"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=sa.text("gen_random_uuid()"))
    learner_id: Mapped[str] = mapped_column(sa.Text)
    program_code: Mapped[str] = mapped_column(sa.Text)
    certificate_number: Mapped[str] = mapped_column(sa.Text)
    achievement_id: Mapped[UUID] = mapped_column(sa.ForeignKey("achievements.id"))
    name: Mapped[bytes | None]
    email: Mapped[bytes | None]
    name_is_public: Mapped[bool] = mapped_column(server_default=sa.false())
    subject_id: Mapped[UUID] = mapped_column(server_default=sa.text("gen_random_uuid()"))
    email_hash: Mapped[str | None] = mapped_column(sa.Text)
    email_salt: Mapped[str | None] = mapped_column(sa.Text)
    score: Mapped[str | None] = mapped_column(sa.Text)
    issued_on: Mapped[date]
    expires_on: Mapped[date | None]
    status_list: Mapped[int] = mapped_column(sa.ForeignKey("status_lists.number"))
    status_index: Mapped[int]
    state: Mapped[str] = mapped_column(sa.Text, server_default="valid")
    reason: Mapped[str | None] = mapped_column(sa.Text)
    state_since: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    created_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    withdrawn_at: Mapped[datetime | None] = mapped_column(_TIME)
    achievement: Mapped[Achievement] = relationship(lazy="joined")

    def holder_name(self) -> str | None:
        """The learner's name; None once it is erased."""
        return None if self.name is None else unseal(self.name).decode()

    def state_on(self, day: date) -> str:
        """`valid`, `suspended`, `revoked`, or `expired` where only the date has passed (WIB)."""
        has_passed = self.expires_on is not None and self.expires_on < day
        return "expired" if has_passed and self.state == "valid" else self.state


class CredentialEvent(Base):
    """One change of a credential's state: by whom and why. Only inserted."""

    __tablename__ = "credential_events"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    credential_id: Mapped[UUID] = mapped_column(sa.ForeignKey("credentials.id"))
    at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))
    from_state: Mapped[str] = mapped_column(sa.Text)
    to_state: Mapped[str] = mapped_column(sa.Text)
    source: Mapped[str] = mapped_column(sa.Text)
    reason: Mapped[str | None] = mapped_column(sa.Text)


class OpenBadge(Base):
    """A badge as it was signed, byte for byte. proof: `jws` or `embedded`. key_id: of the signing key."""

    __tablename__ = "open_badges"
    credential_id: Mapped[UUID] = mapped_column(sa.ForeignKey("credentials.id"), primary_key=True)
    proof: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    body: Mapped[str] = mapped_column(sa.Text)
    key_id: Mapped[str] = mapped_column(sa.Text)
    signed_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


@dataclass(frozen=True)
class Told:
    """What became of one that was told. is_same: nothing of it differs from what was known."""

    id: UUID
    is_new: bool
    is_same: bool = True


@dataclass(frozen=True)
class Made:
    """What became of all that were told, in their order. run: exports them; None: nothing was to be done."""

    credentials: list[Told]
    run: ProcessRun | None


def from_completion(
    session: Session,
    *,
    program_code: str,
    lpk_registration_number: str,
    achievement: Content,
    issued_on: date,
    holders: Sequence[Holder],
    expires_on: date | None = None,
    targets: Sequence[str] = ("open_badge",),
    flow_run_id: UUID | None = None,
) -> Made:
    """Make the credentials of a reported completion, any number of them at once, and have them exported.

    Each learner and certificate number of the program has one, however often and by how many it is told;
    what is known already keeps what it says. Whoever else makes credentials waits until this transaction
    ends. flow_run_id: the flow run that exports them at once; without one they wait for the relay.
    """
    keys = [(one.learner_id, one.certificate_number) for one in holders]
    achievement_id = _achieved(session, program_code, lpk_registration_number, achievement)
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
    known = _known(session, program_code, keys)
    fresh = {key: one for key, one in zip(keys, holders, strict=True) if key not in known}
    made = _insert(session, program_code, achievement_id, issued_on, expires_on, fresh)
    told = [
        Told(made[key], True)
        if key in made
        else Told(known[key][0], False, known[key][1:] == (achievement_id, issued_on, expires_on, one.score))
        for key, one in zip(keys, holders, strict=True)
    ]
    ids = list(dict.fromkeys(one.id for one in told))
    run = credential_export.queue(session, program_code, ids, targets, flow_run_id)
    return Made(told, run)


_Key = tuple[str, str]  # learner's id, certificate number


def _achieved(session: Session, program_code: str, lpk: str, content: Content) -> UUID:
    """The achievement that says exactly this, made where nobody has achieved it before."""
    stored = content.as_json()
    text = json.dumps([program_code, lpk, stored], sort_keys=True)
    digest = hashlib.sha256(text.encode()).digest()
    session.execute(
        insert(Achievement)
        .values(
            program_code=program_code,
            lpk_registration_number=lpk,
            content=stored,
            digest=digest,
        )
        .on_conflict_do_nothing()
    )
    return session.scalars(sa.select(Achievement.id).where(Achievement.digest == digest)).one()


_KNOWN = sa.text(
    """SELECT c.learner_id, c.certificate_number, c.id, c.achievement_id, c.issued_on, c.expires_on, c.score
    FROM unnest(CAST(:learners AS text[]), CAST(:numbers AS text[])) told (learner, number)
    JOIN credentials c ON c.learner_id = told.learner AND c.program_code = :program
        AND c.certificate_number = told.number"""
)


def _known(session: Session, program_code: str, keys: Sequence[_Key]) -> dict[_Key, tuple[Any, ...]]:
    asked = {
        "program": program_code,
        "learners": [learner for learner, _ in keys],
        "numbers": [number for _, number in keys],
    }
    return {(row[0], row[1]): tuple(row[2:]) for row in session.execute(_KNOWN, asked)}


_COPY = b"""COPY credentials (id, learner_id, program_code, certificate_number, achievement_id, name, email,
    name_is_public, email_hash, email_salt, score, issued_on, expires_on, status_list,
    status_index) FROM STDIN (FORMAT BINARY)"""
_TYPES = (
    *("uuid", "text", "text", "text", "uuid", "bytea", "bytea", "bool", "text", "text", "text"),
    *("date", "date", "int4", "int4"),
)


def _insert(
    session: Session,
    program_code: str,
    achievement_id: UUID,
    issued_on: date,
    expires_on: date | None,
    fresh: dict[_Key, Holder],
) -> dict[_Key, UUID]:
    """Write the new ones, each with its place in a status list."""
    made: dict[_Key, UUID] = {}
    if not fresh:
        return made
    places = status_list.take(session, len(fresh))
    with driver(session).cursor().copy(_COPY) as rows:
        rows.set_types(_TYPES)
        for (key, one), (number, index) in zip(fresh.items(), places, strict=True):
            made[key] = uuid4()
            email = one.email.strip().lower() if one.email else None
            salt = secrets.token_hex(_SALT_BYTES) if email else None
            rows.write_row(
                (
                    made[key],
                    one.learner_id,
                    program_code,
                    one.certificate_number,
                    achievement_id,
                    one.name,
                    seal(email.encode()) if email else None,
                    one.name_is_public,
                    _hashed(email, salt),
                    salt,
                    one.score,
                    issued_on,
                    expires_on,
                    number,
                    index,
                )
            )
    return made


def _hashed(email: str | None, salt: str | None) -> str | None:
    """The recipient as the standard hides it: the salt follows the address."""
    if email is None or salt is None:
        return None
    return "sha256$" + hashlib.sha256((email + salt).encode()).hexdigest()

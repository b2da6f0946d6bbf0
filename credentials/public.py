"""What anybody may see of a credential: one statement, and of the person only what was agreed to."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import namedtuple_row

from common import clock
from credentials import european
from records.credential import Content, Unit
from records.db import at_once
from records.sealed import unseal

State = Literal["valid", "not_yet_valid", "expired", "suspended", "revoked", "withdrawn"]


@dataclass(frozen=True)
class Shown:
    """A credential as its page shows it. name, number: only where the learner agreed, else None.

    centre_name: None where the training centre has told none, and `centre` is its number in words. reason,
    since: where it is revoked or suspended. is_european: a European credential of it was made.
    """

    id: UUID
    state: State
    achievement_id: UUID
    content: Content
    program_code: str
    centre: str
    centre_number: str
    centre_name: str | None
    centre_url: str | None
    issued_on: date
    expires_on: date | None
    score: str | None
    reason: str | None
    since: datetime
    name: str | None = field(default=None, repr=False)
    number: str | None = None
    is_european: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it counts today."""
        return self.state == "valid"

    @property
    def has_files(self) -> bool:
        """Whether its European credential and certificate may be had: they have the name in them."""
        return self.is_european and self.name is not None and self.state not in ("suspended", "revoked")


# As text: with the mapper this one statement took as long as all the rest of a page.
_WANTED = """SELECT c.id, c.state, c.state_since, c.reason, c.withdrawn_at, c.name, c.name_is_public,
    c.certificate_number, c.score, c.issued_on, c.expires_on, c.achievement_id, a.program_code,
    a.lpk_registration_number, a.content, t.name AS centre, t.url AS centre_url, e.state AS european
FROM credentials c JOIN achievements a ON a.id = c.achievement_id
LEFT JOIN training_centres t USING (lpk_registration_number)
LEFT JOIN credential_exports e ON e.credential_id = c.id AND e.target = %s
WHERE c.id = %s"""


def read(credential_id: UUID) -> Shown | None:
    """The credential as it is now; None where there is none."""
    with at_once() as db, db.cursor(row_factory=namedtuple_row) as found:
        row: Any = found.execute(_WANTED, [european.TARGET, credential_id]).fetchone()
    if row is None:
        return None
    is_named = row.name_is_public and row.name is not None
    units = tuple(Unit(**unit) for unit in row.content.get("skkni_units", ()))
    return Shown(
        id=row.id,
        state=_state(row, clock.business_date(clock.now())),
        achievement_id=row.achievement_id,
        content=Content(**{**row.content, "skkni_units": units}),
        program_code=row.program_code,
        centre=row.centre or f"LPK {row.lpk_registration_number}",
        centre_number=row.lpk_registration_number,
        centre_name=row.centre,
        centre_url=row.centre_url,
        issued_on=row.issued_on,
        expires_on=row.expires_on,
        score=row.score,
        reason=row.reason,
        since=row.state_since,
        name=unseal(row.name).decode() if is_named else None,
        number=row.certificate_number if is_named else None,
        is_european=row.european == "done",
    )


def _state(row: Any, today: date) -> State:
    """What holds on that day (WIB): the issuer's word before the dates."""
    if row.withdrawn_at is not None:
        return "withdrawn"
    if row.state in ("revoked", "suspended"):
        return "revoked" if row.state == "revoked" else "suspended"
    if row.issued_on > today:
        return "not_yet_valid"
    return "expired" if row.expires_on is not None and row.expires_on < today else "valid"

"""Status lists: each credential has one place in one list, drawn at random and never given again.

A list's indexes are shuffled when it is made, and given out in that order: nobody reads from an index how
many credentials there are, or in which order they came. Whoever takes places holds the list's row until its
transaction ends, so two workers never take the same one; what is rolled back was never taken.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.db import Base

SIZE = 131_072  # places, the least that the standard asks for: 16 KiB of bits
_BYTES = 4  # of one index
_TIME = TIMESTAMP(timezone=True)
_MAKING = 0x6A6C6973  # any number that nobody else uses: two lists are not made at once


class StatusList(Base):
    """One list. taken: how many places are given out. version: grows when a state in it changes."""

    __tablename__ = "status_lists"
    number: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    size: Mapped[int]
    taken: Mapped[int] = mapped_column(server_default="0")
    places: Mapped[bytes] = mapped_column(deferred=True)
    version: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    made_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


Place = tuple[int, int]  # number of the list, index in it

# substring() counts from 1.
_TAKE = sa.text(
    f"""WITH open AS (
        SELECT number, least(:wanted, size - taken) AS given FROM status_lists
        WHERE taken < size ORDER BY number LIMIT 1 FOR UPDATE)
    UPDATE status_lists list SET taken = list.taken + open.given
    FROM open WHERE list.number = open.number
    RETURNING list.number,
        substring(list.places FROM (list.taken - open.given) * {_BYTES} + 1 FOR open.given * {_BYTES})"""  # noqa: S608
)


def take(session: Session, wanted: int) -> list[Place]:
    """That many places, for this transaction; a new list is made where the last one is full."""
    places: list[Place] = []
    while len(places) < wanted:
        row = session.execute(_TAKE, {"wanted": wanted - len(places)}).one_or_none()
        if row is None:
            _make(session)
            continue
        number, indexes = row
        places.extend((number, index) for index in np.frombuffer(indexes, ">u4").tolist())
    return places


def _make(session: Session) -> None:
    """Add a list. Who waited for another's finds it open, and makes none."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
    has_open = sa.exists().where(StatusList.taken < StatusList.size)
    if not session.scalar(sa.select(has_open)):
        shuffled = np.random.Generator(np.random.PCG64(secrets.randbits(256))).permutation(SIZE)
        session.add(StatusList(size=SIZE, places=shuffled.astype(">u4").tobytes()))
        session.flush()


def changed(session: Session, numbers: Iterable[int]) -> None:
    """Note that a state in these lists has changed: they are signed anew."""
    session.execute(
        sa.update(StatusList)
        .where(StatusList.number.in_(sorted(set(numbers))))
        .values(version=StatusList.version + 1)
        .execution_options(synchronize_session=False)
    )


def known(session: Session, number: int) -> tuple[int, int] | None:
    """Size and version of a list; None where there is none."""
    row = session.execute(
        sa.select(StatusList.size, StatusList.version).where(StatusList.number == number)
    ).one_or_none()
    return (row.size, row.version) if row is not None else None

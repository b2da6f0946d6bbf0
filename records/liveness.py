"""Who is at work: each process holds a number for as long as it lives, and others can ask whether it does.

The number is an advisory lock of a database session of its own, so a killed process gives it up by itself.
"""

import secrets
import threading
import time

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

from common.errors import NotReachable
from records.db import database_url

_TRUSTED_SECONDS = 5.0


class _Mark:
    """This process's number, taken anew where the session that holds it was lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: psycopg.Connection | None = None
        self._url = ""
        self._number = 0
        self._seen = 0.0

    def number(self) -> int:
        with self._lock:
            url = database_url()
            if url != self._url or not self._is_held():
                self._take(url)
            return self._number

    def _is_held(self) -> bool:
        """Whether our session still lives; asked anew after a while, as a lost one does not say so."""
        if self._session is None or self._session.closed:
            return False
        if time.monotonic() - self._seen > _TRUSTED_SECONDS:
            try:
                self._session.execute("SELECT")
            except psycopg.OperationalError:
                return False
            self._seen = time.monotonic()
        return True

    def _take(self, url: str) -> None:
        try:
            self._session = psycopg.connect(url, autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            raise NotReachable(f"the database does not answer: {type(error).__name__}") from None
        self._url = url
        self._number = secrets.randbelow(2**62) + 1
        self._session.execute("SELECT pg_advisory_lock(%s)", [self._number])
        self._seen = time.monotonic()


_mark = _Mark()


def own_number() -> int:
    """The number of this process, held as long as it lives."""
    return _mark.number()


def is_alive(session: Session, number: int) -> bool:
    """Whether the process of that number lives; this very process does."""
    free = session.scalar(sa.text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number})
    return not free

"""Report files as they came: kept once by their SHA-256, never changed."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert
from sqlalchemy.orm import Mapped, mapped_column

from common import clock
from common.settings import settings
from records.db import Base, unit_of_work

_UNFINISHED = "incoming-"
_A_DAY = 86_400


class KeptFile(Base):
    """One report file, by its content."""

    __tablename__ = "kept_files"
    sha256: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    kept_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=sa.text("now()"))


def folder() -> Path:
    """Where kept files lie; several workers must share it."""
    path = settings().home / "reports"
    path.mkdir(parents=True, exist_ok=True)
    return path


def path_of(sha256: str) -> Path:
    """Place of the kept file with that SHA-256."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError("not a SHA-256")
    return folder() / sha256[:2] / sha256


def keep(name: str, blocks: Iterable[bytes]) -> str:
    """Store a file's bytes under their SHA-256 and return it; the same bytes again are the same file.

    name: what the source calls it; only its last part is noted. The file is whole or not there: it is
    written aside, synced and renamed. No transaction is open while the bytes come.
    """
    _remove_unfinished()
    digest = hashlib.sha256()
    size = 0
    descriptor, aside = tempfile.mkstemp(dir=folder(), prefix=_UNFINISHED)
    try:
        with os.fdopen(descriptor, "wb") as out:
            for block in blocks:
                digest.update(block)
                size += len(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        target = path_of(digest.hexdigest())
        target.parent.mkdir(exist_ok=True)
        Path(aside).replace(target)
    finally:
        Path(aside).unlink(missing_ok=True)
    plain_name = name.replace("\\", "/").rsplit("/", 1)[-1].replace("\x00", "")[:120] or "report"
    note = insert(KeptFile).values(sha256=digest.hexdigest(), name=plain_name, bytes=size)
    with unit_of_work() as session:
        session.execute(note.on_conflict_do_update(index_elements=["sha256"], set_={"name": plain_name}))
    return digest.hexdigest()


def _remove_unfinished() -> None:
    """Remove what killed runs left half fetched, once it is a day old."""
    for path in folder().glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            if clock.now().timestamp() - path.stat().st_mtime > _A_DAY:
                path.unlink()

"""European credentials as they were made: kept byte for byte, encrypted, delivered under one key each."""

import hashlib
import zlib
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.db import Base
from records.sealed import seal, unseal

_TIME = TIMESTAMP(timezone=True)


class EuropeanCredential(Base):
    """The document of one credential. body: packed and encrypted. digest: SHA-256 of the document.
    is_sealed: it carries our own electronic seal."""

    __tablename__ = "european_credentials"
    credential_id: Mapped[UUID] = mapped_column(sa.ForeignKey("credentials.id"), primary_key=True)
    body: Mapped[bytes]
    digest: Mapped[bytes]
    is_sealed: Mapped[bool]
    made_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))

    def document(self) -> str:
        """The document, byte for byte as it was made."""
        return zlib.decompress(unseal(self.body)).decode()

    def idempotency_key(self) -> str:
        """Under which it is delivered, however often: an issuer takes it once."""
        return f"{self.credential_id}-{self.digest.hex()[:32]}"


def keep(session: Session, credential_id: UUID, document: str, *, is_sealed: bool) -> EuropeanCredential:
    """Store a document that was made, unless another was made meanwhile; gives the one that is stored.

    The caller holds the credential's row, so that it is not withdrawn under its hands.
    """
    plain = document.encode()
    session.execute(
        insert(EuropeanCredential)
        .values(
            credential_id=credential_id,
            body=seal(zlib.compress(plain, 1)),
            digest=hashlib.sha256(plain).digest(),
            is_sealed=is_sealed,
        )
        .on_conflict_do_nothing()
    )
    return session.get_one(EuropeanCredential, credential_id, populate_existing=True)


def erase(session: Session, credential_ids: Collection[UUID]) -> None:
    """Delete the documents of credentials that were withdrawn: names are in them."""
    session.execute(sa.delete(EuropeanCredential).where(EuropeanCredential.credential_id.in_(credential_ids)))

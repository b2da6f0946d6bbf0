"""What learners have agreed to share on LinkedIn: one text for each credential, and how often it was sent.

The row is the consent: without one, or the learner's word for all new credentials, nothing is posted. How far
a share has come is in `credential_export`, target `linkedin`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.credential_export import CredentialExport
from records.db import Base
from records.sealed import seal, unseal

TARGET = "linkedin"
Visibility = Literal["PUBLIC", "CONNECTIONS"]


class LinkedInShare(Base):
    """One credential's share. text: as the learner saw it, sealed. agreed_with: through whom the learner
    said so. image: LinkedIn's name of the uploaded picture. calls: posts sent of which nobody knows what
    became."""

    __tablename__ = "linkedin_shares"
    credential_id: Mapped[UUID] = mapped_column(sa.ForeignKey("credentials.id"), primary_key=True)
    text: Mapped[bytes]
    visibility: Mapped[str] = mapped_column(sa.Text)
    agreed_with: Mapped[str] = mapped_column(sa.Text)
    agreed_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=sa.text("now()"))
    image: Mapped[str | None] = mapped_column(sa.Text)
    calls: Mapped[int] = mapped_column(server_default="0")

    def words(self) -> str:
        """The text, as readers will see it."""
        return unseal(self.text).decode()


def agree(
    session: Session, credential_id: UUID, text: str, visibility: Visibility, *, agreed_with: str
) -> None:
    """Note that the learner wants the credential shared with this text.

    A post that was sent, or may have been, keeps its text: only the very same again is known to LinkedIn.
    """
    export = session.get(CredentialExport, (credential_id, TARGET), with_for_update=True)
    found = session.get(LinkedInShare, credential_id)
    may_be_out = export is not None and (
        export.state in ("sent", "unknown", "done") or (found is not None and found.calls > 0)
    )
    if found is not None and may_be_out:
        return
    values = {"text": seal(text.encode()), "visibility": visibility, "agreed_with": agreed_with}
    made = insert(LinkedInShare).values(credential_id=credential_id, **values)
    anew = values | {"agreed_at": sa.func.now()}
    session.execute(made.on_conflict_do_update(index_elements=["credential_id"], set_=anew))
    session.flush()


def of_credentials(session: Session, credential_ids: Sequence[UUID]) -> dict[UUID, LinkedInShare]:
    """The shares of these credentials."""
    wanted = sa.select(LinkedInShare).where(LinkedInShare.credential_id.in_(credential_ids))
    return {one.credential_id: one for one in session.scalars(wanted)}


def posts(session: Session, urns: Collection[str]) -> dict[str, UUID]:
    """Which credential each of these posts is known to be of."""
    wanted = sa.select(CredentialExport.external_id, CredentialExport.credential_id).where(
        CredentialExport.target == TARGET, CredentialExport.external_id.in_(urns)
    )
    return {str(urn): credential_id for urn, credential_id in session.execute(wanted)}


def erase(session: Session, credential_ids: Sequence[UUID]) -> None:
    """Delete what is known of shares of these credentials: texts, and the posts, which lead to a person."""
    session.execute(sa.delete(LinkedInShare).where(LinkedInShare.credential_id.in_(credential_ids)))
    session.execute(
        sa.delete(CredentialExport).where(
            CredentialExport.target == TARGET, CredentialExport.credential_id.in_(credential_ids)
        )
    )

"""Training centres (LPK): what they call themselves and how their badges look."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TIMESTAMP, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from records.db import Base

_TIME = TIMESTAMP(timezone=True)


class TrainingCentre(Base):
    """One centre. colour: `#rrggbb`. logo: checked (providers.open_badges.logo) before it is stored."""

    __tablename__ = "training_centres"
    lpk_registration_number: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text)
    url: Mapped[str | None] = mapped_column(sa.Text)
    colour: Mapped[str | None] = mapped_column(sa.Text)
    logo: Mapped[bytes | None]
    logo_type: Mapped[str | None] = mapped_column(sa.Text)
    changed_at: Mapped[datetime] = mapped_column(_TIME, server_default=sa.text("now()"))


def set_brand(
    session: Session,
    lpk_registration_number: str,
    *,
    name: str,
    url: str | None = None,
    colour: str | None = None,
    logo: bytes | None = None,
    logo_type: str | None = None,
) -> None:
    """Say how a centre's badges look from now on; what is None is taken away."""
    values = {
        "name": name,
        "url": url,
        "colour": colour,
        "logo": logo,
        "logo_type": logo_type,
        "changed_at": sa.func.now(),
    }
    session.execute(
        insert(TrainingCentre)
        .values(lpk_registration_number=lpk_registration_number, **values)
        .on_conflict_do_update(index_elements=["lpk_registration_number"], set_=values)
    )

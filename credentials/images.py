"""Pictures of our badges: drawn from what was achieved and the centre's brand, the signed badge baked in."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from common.errors import BadInput
from credentials import badges
from providers.open_badges import image, logo
from providers.open_badges.baking import bake_png, bake_svg
from providers.open_badges.image import Images, Look
from records import training_centre
from records.credential import Achievement
from records.db import at_once, unit_of_work
from records.training_centre import TrainingCentre

# It stands in badges as a URI and on pages as a link.
WEBSITE = (
    r"^https://[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?"
    r"([/?#][A-Za-z0-9._~:/?#@!$&'()*+,;=%-]{0,500})?$"
)
Kind = Literal["png", "svg"]
MEDIA_TYPES: dict[Kind, str] = {"png": "image/png", "svg": "image/svg+xml"}


def baked(credential_id: UUID, kind: Kind) -> bytes | None:
    """A credential's picture with its badge in it; None where there is no badge."""
    badge = badges.badge(credential_id, badges.chosen_proof())
    if badge is None:
        return None
    with at_once() as db:
        drawn_for = db.execute(_DRAWN_FOR, [credential_id]).fetchone()
    assert drawn_for is not None  # it has a badge
    pictures = _drawn(*drawn_for)
    return bake_png(pictures.png, badge) if kind == "png" else bake_svg(pictures.svg, badge)


_DRAWN_FOR = b"""SELECT a.id, t.changed_at FROM credentials c JOIN achievements a ON a.id = c.achievement_id
    LEFT JOIN training_centres t USING (lpk_registration_number) WHERE c.id = %s"""


@lru_cache(maxsize=64)
def _drawn(achievement_id: UUID, _branded_at: datetime | None) -> Images:
    """The picture of an achievement, drawn once for each brand that its training centre gives it."""
    with unit_of_work() as session:
        return image.rendered(look(session, session.get_one(Achievement, achievement_id)))


def plain(achievement_id: UUID) -> bytes | None:
    """The picture of an achievement, PNG, with no badge in it; None where there is no such achievement."""
    with unit_of_work() as session:
        found = session.get(Achievement, achievement_id)
        return image.rendered(look(session, found)).png if found is not None else None


def look(session: Session, found: Achievement) -> Look:
    """What the picture of an achievement shows, in the colours of its training centre."""
    told = found.told()
    centre = session.get(TrainingCentre, found.lpk_registration_number)
    details = []
    if told.skkni_units:
        details.append(f"SKKNI {len(told.skkni_units)} unit")
    if told.kkni_level is not None:
        details.append(f"KKNI jenjang {told.kkni_level}")
    return Look(
        name=told.name,
        centre=centre.name if centre is not None else f"LPK {found.lpk_registration_number}",
        detail=" · ".join(details),
        colour=(centre.colour if centre is not None else None) or image.COLOUR,
        logo=centre.logo if centre is not None else None,
        logo_type=centre.logo_type if centre is not None else None,
    )


def brand(
    session: Session,
    lpk_registration_number: str,
    *,
    name: str,
    url: str | None = None,
    colour: str | None = None,
    picture: bytes | None = None,
) -> None:
    """Let a training centre's badges carry its name, colour and logo from now on. Raises BadInput.

    Badges that are signed already keep what they say; their pictures are drawn anew.
    """
    if not name.strip():
        raise BadInput("A training centre has a name")
    if url is not None and not re.fullmatch(WEBSITE, url):
        raise BadInput("The address of a website looks like https://lpk.example/about")
    training_centre.set_brand(
        session,
        lpk_registration_number,
        name=name.strip(),
        url=url,
        colour=colour.lower() if colour else None,
        logo=picture,
        logo_type=logo.checked(picture) if picture is not None else None,
    )

"""Certificates of our credentials as pages: images for European credentials, and a PDF."""

from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.orm import Session

from common.settings import settings
from credentials import ours
from providers.europass import page
from providers.europass.concepts import Language
from providers.europass.page import Page
from records.credential import Content, Credential
from records.db import unit_of_work
from records.training_centre import TrainingCentre


@dataclass(frozen=True)
class Certificate:
    """What one learner's certificate says, in both languages."""

    told: Content
    base: Page

    def page(self, language: Language) -> Page:
        """The page in one language: what was told in no other than Indonesian stays in it."""
        told, is_english = self.told, language == "en"
        return replace(
            self.base,
            achievement=(told.name_en if is_english else None) or told.name,
            units=tuple(
                (unit.code, (unit.title_en if is_english else None) or unit.title)
                for unit in told.skkni_units
            ),
        )

    def image(self, language: Language) -> bytes:
        """The page as it stands in a European credential, PNG: with the learner's name, or as all who
        achieved the same share it."""
        named = self.page(language)
        if settings().europass.names_on_pages:
            return page.drawn(named, language, "png")
        shared = replace(named, name="", number="", score=None, url="", issued_on=None, expires_on=None)
        return page.drawn(shared, language, "png")


def of(session: Session, one: Credential) -> Certificate:
    """A credential's certificate, in the colours of its training centre."""
    told = one.achievement.told()
    number = one.achievement.lpk_registration_number
    centre = session.get(TrainingCentre, number)
    return Certificate(
        told,
        Page(
            centre=centre.name if centre is not None else f"LPK {number}",
            achievement=told.name,
            name=one.holder_name() or "",
            number=one.certificate_number,
            kkni_level=told.kkni_level,
            hours=told.hours,
            score=one.score,
            issued_on=one.issued_on,
            expires_on=one.expires_on,
            url=f"{ours.base_url()}/credentials/{one.id}",
            colour=(centre.colour if centre is not None else None) or page.COLOUR,
            logo=centre.logo if centre is not None else None,
            logo_type=centre.logo_type if centre is not None else None,
        ),
    )


def pdf(credential_id: UUID, language: Language) -> bytes | None:
    """The certificate as PDF; None where there is no such credential, or it was revoked."""
    with unit_of_work() as session:
        found = session.get(Credential, credential_id)
        if found is None or found.state == "revoked":
            return None
        certificate = of(session, found)
    return page.drawn(certificate.page(language), language, "pdf")

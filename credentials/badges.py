"""Open badges of our credentials: signed once, kept byte for byte, served unchanged."""

from collections.abc import Sequence
from itertools import groupby
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common.settings import settings
from credentials import ours
from providers.open_badges.document import Achieved, Award, Centre, Writer
from providers.open_badges.signing import Signer
from records.credential import Achievement, Credential, OpenBadge
from records.credential_export import Step
from records.db import driver, unit_of_work
from records.training_centre import TrainingCentre

TARGET = "open_badge"
Proof = Literal["jws", "embedded"]


def export(session: Session, credential_ids: Sequence[UUID]) -> list[Step]:
    """Sign the badges of these credentials, in the form that the setting names, where they have none yet.

    The caller holds their exports; what was signed is stored with its transaction, or not at all.
    """
    rows = list(
        session.scalars(
            sa.select(Credential)
            .where(Credential.id.in_(credential_ids))
            .order_by(Credential.achievement_id, Credential.id)
        )
    )
    sign(session, rows, chosen_proof())
    return [
        Step(one.id, "done", links(one.id))
        if one.withdrawn_at is None
        else Step(one.id, "refused", problem="It was withdrawn: there is nothing to sign any more.")
        for one in rows
    ]


def chosen_proof() -> Proof:
    """What goes into the images, and is signed before anybody asks for it."""
    return "embedded" if settings().badges.proof == "eddsa-rdfc-2022" else "jws"


def links(credential_id: UUID) -> dict[str, str]:
    """Where a badge is to be had."""
    url = f"{ours.base_url()}/credentials/{credential_id}"
    return {
        "page": url,
        "jws": f"{url}.jws",
        "json": f"{url}.json",
        "png": f"{url}/badge.png",
        "svg": f"{url}/badge.svg",
    }


def sign(session: Session, rows: Sequence[Credential], proof: Proof) -> None:
    """Sign what has no badge of this form yet. rows: those of one achievement one after the other."""
    signed = set(
        session.scalars(
            sa.select(OpenBadge.credential_id).where(
                OpenBadge.credential_id.in_([one.id for one in rows]), OpenBadge.proof == proof
            )
        )
    )
    wanted = [one for one in rows if one.id not in signed and one.withdrawn_at is None]
    if not wanted:
        return
    with_key = ours.signer(session, ours.jws_alg() if proof == "jws" else "EdDSA")
    bodies = [
        (one.id, proof, body, with_key.key.id)
        for _, group in groupby(wanted, key=lambda one: one.achievement_id)
        for one, body in _signed(session, list(group), proof, with_key)
    ]
    with driver(session).cursor().copy(_COPY) as stored:
        for row in bodies:
            stored.write_row(row)


_COPY = b"COPY open_badges (credential_id, proof, body, key_id) FROM STDIN"


def _signed(
    session: Session, rows: Sequence[Credential], proof: Proof, with_key: Signer
) -> list[tuple[Credential, str]]:
    """Each credential of one achievement with its signed badge."""
    writer = Writer(ours.issuer(), achieved(session, rows[0].achievement), ours.base_url())
    if proof == "jws":
        return [(one, with_key.jws(writer.document(_award(one)))) for one in rows]
    signed = [(one, with_key.embedded(writer.document(_award(one)))) for one in rows]
    with_key.whole(signed[0][1])
    return signed


def achieved(session: Session, found: Achievement) -> Achieved:
    """An achievement as badges say it, with what its training centre calls itself."""
    told = found.told()
    centre = session.get(TrainingCentre, found.lpk_registration_number)
    return Achieved(
        id=found.id,
        program_code=found.program_code,
        name=told.name,
        description=told.description,
        criteria=told.criteria,
        centre=Centre(
            found.lpk_registration_number, centre.name if centre else None, centre.url if centre else None
        ),
        units=[(unit.code, unit.title) for unit in told.skkni_units],
        kkni_level=told.kkni_level,
    )


def _award(one: Credential) -> Award:
    return Award(
        id=one.id,
        subject_id=one.subject_id,
        issued_on=one.issued_on,
        expires_on=one.expires_on,
        place=(one.status_list, one.status_index),
        email_hash=one.email_hash,
        email_salt=one.email_salt,
        score=one.score,
    )


def badge(credential_id: UUID, proof: Proof) -> str | None:
    """A credential's badge as it was signed; signed now, and kept, where nobody has asked for this form yet.

    None where there is no such credential, or it was withdrawn.
    """
    with unit_of_work() as session:
        kept = session.get(OpenBadge, (credential_id, proof))
        if kept is not None:
            return kept.body
        # Whoever asks at the same time waits here, and finds what was signed.
        found = session.get(Credential, credential_id, with_for_update={"of": Credential})
        if found is None:
            return None
        sign(session, [found], proof)
        kept = session.get(OpenBadge, (credential_id, proof))
        return kept.body if kept is not None else None

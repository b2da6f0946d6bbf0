"""Open badges of our credentials: signed once, kept byte for byte, served unchanged."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from common.settings import settings
from credentials import ours
from providers.open_badges.document import Achieved, Award, Centre, Writer
from providers.open_badges.signing import Signer
from records import credential_export
from records.credential import Achievement, Credential, OpenBadge
from records.credential_export import CredentialExport, Step
from records.db import at_once, driver, glance, unit_of_work
from records.training_centre import TrainingCentre

TARGET = "open_badge"
Proof = Literal["jws", "embedded"]
Row = sa.Row[*tuple[Any, ...]]


_WANTED = sa.select(
    Credential.id,
    sa.cast(Credential.subject_id, sa.Text).label("subject_id"),  # is only written
    Credential.issued_on,
    Credential.expires_on,
    Credential.status_list,
    Credential.status_index,
    Credential.email_hash,
    Credential.email_salt,
    Credential.score,
    Credential.achievement_id,
    Credential.withdrawn_at,
    sa.exists()
    .where(OpenBadge.credential_id == Credential.id, OpenBadge.proof == sa.bindparam("proof"))
    .label("is_signed"),
).order_by(Credential.achievement_id, Credential.id)  # those of one achievement one after the other
_TO_WORK = _WANTED.join(CredentialExport, CredentialExport.credential_id == Credential.id)


# Two sign one badge at the same time: a batch, and who is asked for it by a reader. The one who comes second
# waits in the database for the first, is refused there, and finds on looking anew what was signed.
_look_anew = retry(
    retry=retry_if_exception_type(psycopg.errors.UniqueViolation), stop=stop_after_attempt(5), reraise=True
)


@_look_anew
def export(credential_ids: Sequence[UUID]) -> list[Step]:
    """Sign the badges of these credentials, in the form that the setting names, where they have none yet.

    One transaction: what was signed is stored and noted as done, or nothing of it happened.
    """
    with unit_of_work() as session:
        proof = chosen_proof()
        wanted = credential_export.held(_TO_WORK, TARGET, credential_ids)
        rows = list(session.execute(wanted, {"proof": proof}))
        sign(session, rows, proof)
        steps = [
            Step(one.id, "done")
            if one.withdrawn_at is None
            else Step(one.id, "refused", problem="It was withdrawn: there is nothing to sign any more.")
            for one in rows
        ]
        credential_export.apply(session, TARGET, steps)
        return steps


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


def sign(session: Session, rows: Sequence[Row], proof: Proof) -> None:
    """Sign what has no badge of this form yet. rows: as `_WANTED` gives them."""
    wanted = [one for one in rows if not one.is_signed and one.withdrawn_at is None]
    if not wanted:
        return
    with_key = ours.signer(session, ours.jws_alg() if proof == "jws" else "EdDSA")
    with driver(session).cursor().copy(_COPY) as stored:
        stored.set_types(("uuid", "text", "text", "text"))
        for achievement_id, group in groupby(wanted, key=lambda one: one.achievement_id):
            writer = _writer(achievement_id)
            for credential_id, body in _signed(writer, list(group), proof, with_key):
                stored.write_row((credential_id, proof, body, with_key.key.id))


_COPY = b"COPY open_badges (credential_id, proof, body, key_id) FROM STDIN (FORMAT BINARY)"


def _writer(achievement_id: UUID) -> Writer:
    with glance() as session:  # beside the transaction, which is at a COPY
        found = session.get_one(Achievement, achievement_id)
        return Writer(ours.issuer(), achieved(session, found), ours.base_url())


def _signed(
    writer: Writer, rows: Sequence[Row], proof: Proof, with_key: Signer
) -> Iterator[tuple[UUID, str]]:
    """Each credential of one achievement with its signed badge."""
    documents = (writer.document(_award(one)) for one in rows)
    bodies = with_key.each_jws(documents) if proof == "jws" else with_key.each_embedded(documents)
    return zip((one.id for one in rows), bodies, strict=True)


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


def _award(one: Row) -> Award:
    return Award(
        one.id,
        one.subject_id,
        one.issued_on,
        one.expires_on,
        (one.status_list, one.status_index),
        one.email_hash,
        one.email_salt,
        one.score,
    )


_KEPT = b"SELECT body FROM open_badges WHERE credential_id = %s AND proof = %s"


@_look_anew
def badge(credential_id: UUID, proof: Proof) -> str | None:
    """A credential's badge as it was signed; signed now, and kept, where nobody has asked for this form yet.

    None where there is no such credential, or it was withdrawn.
    """
    with at_once() as db:
        known_one = db.execute(_KEPT, [credential_id, proof]).fetchone()
    if known_one is not None:
        return str(known_one[0])
    with unit_of_work() as session:
        # Whoever asks at the same time waits here, and finds what was signed.
        known = sa.select(Credential.id).where(Credential.id == credential_id).with_for_update()
        if session.scalar(known) is None:
            return None
        wanted = _WANTED.where(Credential.id == credential_id)
        sign(session, list(session.execute(wanted, {"proof": proof})), proof)
        kept = session.get(OpenBadge, (credential_id, proof))
        return kept.body if kept is not None else None

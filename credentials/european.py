"""European credentials of ours: made once, kept byte for byte, and delivered to an issuer under one key.

The row of an export says `sent` before the call. Whoever finds it so, after a worker died or an answer was
lost, sends the same document with the same key again: for the issuer it is one delivery.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock
from common.errors import Ambiguous, AuthFailed, BadInput, ProviderError, RateLimited, Rejected, Transient
from common.settings import secret_text, settings
from credentials import certificates, ours
from credentials.certificates import Certificate
from providers.europass import document as wire
from providers.europass import seal as seals
from providers.europass.concepts import LANGUAGES, Texts
from providers.europass.document import Achieved, Award, Organisation, Writer
from providers.europass.issuer import Issuer, NoId, Taken, body_of
from providers.europass.seal import Seal
from records import credential_export, european_credential, process
from records.credential import Achievement, Content, Credential
from records.credential_export import CredentialExport, Step
from records.db import unit_of_work
from records.european_credential import EuropeanCredential
from records.process import ProcessRun
from records.training_centre import TrainingCentre

TARGET = "europass"
CHUNK = 24  # credentials that are made, sent and noted together
AT_ONCE = 8  # calls
UNANSWERED = 3  # calls in a row; then the issuer is left alone until the next attempt
FIRST_WAIT = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=3)


def export(credential_ids: Sequence[UUID]) -> list[Step]:
    """Make the documents of these credentials and deliver them, where an issuer is set; without one they
    are made for download, and done. Exports that another worker has in hand are left to it.

    Raises BadInput where a setting stops all of them: the seal, or a key that the issuer refuses.
    """
    steps: list[Step] = []
    with _issuer() as issuer:
        for at in range(0, len(credential_ids), CHUNK):
            names = {f"{TARGET} {one}": one for one in credential_ids[at : at + CHUNK]}
            with process.held_together(list(names)) as held:
                chunk = sorted(names[name] for name in held)
                more = _some(chunk, issuer)
            steps += more
            if any(one.state == "waiting" for one in more):
                break  # the issuer is away: what is left stays queued, and comes with the next attempt
    return steps


@contextmanager
def _issuer() -> Iterator[Issuer | None]:
    service = settings().europass
    if not service.base_url:
        yield None
        return
    issuer = Issuer(service)
    try:
        yield issuer
    finally:
        issuer.close()


@dataclass(frozen=True)
class _Parcel:
    """A document to be delivered. attempts: of its process, this one included."""

    credential_id: UUID
    key: str
    body: bytes
    attempts: int
    is_late: bool


def _some(credential_ids: Sequence[UUID], issuer: Issuer | None) -> list[Step]:
    """Bring a few exports as far as they go; the caller holds them alone."""
    with unit_of_work() as session:
        steps, parcels = _packed(session, credential_export.hold(session, TARGET, credential_ids), issuer)
        credential_export.apply(session, TARGET, steps)
    ended = [one for one in steps if one.state != "sent"]
    if not parcels or issuer is None:
        return ended
    delivered, refused_key = _delivered(parcels, issuer)
    with unit_of_work() as session:
        credential_export.apply(session, TARGET, delivered)
        # What was refused was not taken: it is made anew once its cause is mended.
        european_credential.erase(session, [one.credential_id for one in delivered if one.state == "refused"])
    if refused_key is not None:
        raise BadInput(f"{refused_key}: set JEMBATAN_EUROPASS__API_KEY")
    return ended + delivered


def _packed(
    session: Session, credential_ids: Sequence[UUID], issuer: Issuer | None
) -> tuple[list[Step], list[_Parcel]]:
    """Each export's next step, and what is to be sent. The caller holds them, and notes the steps first."""
    steps, parcels = [], []
    documents = _documents(session, credential_ids)
    runs = _runs(session, credential_ids)
    for credential_id in credential_ids:
        kept = documents.get(credential_id)
        if kept is None:
            problem = "It was revoked: there is nothing to export any more."
            steps.append(Step(credential_id, "refused", problem=problem))
        elif issuer is None:
            steps.append(Step(credential_id, "done", links(credential_id)))
        else:
            steps.append(Step(credential_id, "sent", links(credential_id)))
            run = runs.get(credential_id)
            is_late = run is not None and run.created_at < clock.now() - GIVE_UP_AFTER
            attempts = run.attempts if run is not None else 1
            body = body_of(kept.document())
            parcels.append(_Parcel(credential_id, kept.idempotency_key(), body, attempts, is_late))
    return steps, parcels


def _runs(session: Session, credential_ids: Sequence[UUID]) -> dict[UUID, ProcessRun]:
    """The process that works each of these exports."""
    rows = session.execute(
        sa.select(CredentialExport.credential_id, ProcessRun)
        .join(ProcessRun, ProcessRun.id == CredentialExport.process_run_id)
        .where(CredentialExport.target == TARGET, CredentialExport.credential_id.in_(credential_ids))
    )
    return {row[0]: row[1] for row in rows}


def _delivered(parcels: Sequence[_Parcel], issuer: Issuer) -> tuple[list[Step], AuthFailed | None]:
    """Send them, several at once; stops where the issuer refuses our key, has enough, or does not answer."""
    steps: list[Step] = []
    refused: AuthFailed | None = None
    unanswered, pause = 0, timedelta(0)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for at in range(0, len(parcels), AT_ONCE):
            several = parcels[at : at + AT_ONCE]
            if refused is not None:
                steps += [Step(one.credential_id, "queued") for one in several]
                continue
            if pause:
                steps += [_later(one, "waiting", "The issuer has enough for now.", pause) for one in several]
                continue
            if unanswered >= UNANSWERED:
                steps += [_not_sent(one) for one in several]
                continue
            answers = list(pool.map(lambda one: _sent(issuer, one), several))
            for one, answer in zip(several, answers, strict=True):
                unanswered = unanswered + 1 if isinstance(answer, (Transient, Ambiguous)) else 0
                if isinstance(answer, RateLimited):
                    pause = max(pause, timedelta(seconds=answer.retry_after))
                if isinstance(answer, AuthFailed):
                    refused = answer
                steps.append(_step(one, answer))
    return steps, refused


def _sent(issuer: Issuer, one: _Parcel) -> Taken | ProviderError:
    try:
        return issuer.issue(one.body, one.key)
    except ProviderError as error:
        return error


def _step(one: _Parcel, answer: Taken | ProviderError) -> Step:
    if isinstance(answer, Taken):
        return Step(one.credential_id, "done", answer.links, external_id=answer.id)
    said = f"{answer}."
    if isinstance(answer, NoId):
        return Step(one.credential_id, "needs_attention", problem=f"{said} Ask the issuer for it.")
    if isinstance(answer, AuthFailed):
        return Step(one.credential_id, "queued", problem=said)
    if isinstance(answer, Rejected):
        return Step(one.credential_id, "refused", problem=said)
    state: credential_export.ExportState = "waiting" if isinstance(answer, Transient) else "unknown"
    if one.is_late and not isinstance(answer, RateLimited):
        words = "It may have been taken." if state == "unknown" else "It was not taken."
        more = f"{words} Ask the issuer, then export it again: that makes no second one."
        return Step(one.credential_id, "needs_attention", problem=f"{said} {more}")
    least = answer.retry_after if isinstance(answer, RateLimited) else 0.0
    return _later(one, state, said, timedelta(seconds=least))


def _not_sent(one: _Parcel) -> Step:
    said = "The issuer does not answer; not sent yet."
    if one.is_late:
        more = "Ask the issuer, then export it again."
        return Step(one.credential_id, "needs_attention", problem=f"{said} {more}")
    return _later(one, "waiting", said)


def _later(
    one: _Parcel, state: credential_export.ExportState, said: str, least: timedelta = timedelta(0)
) -> Step:
    doubled = FIRST_WAIT * 2 ** min(max(one.attempts - 1, 0), 8)
    pause = least or min(doubled, LONGEST_WAIT)
    return Step(one.credential_id, state, problem=said, until=clock.now() + pause)


def links(credential_id: UUID) -> dict[str, str]:
    """Where the document is to be had, in the form that the EU's web issuer takes, and the certificate."""
    url = f"{ours.base_url()}/api/v1/credentials/{credential_id}"
    return {
        "download": f"{url}/europass.json",
        "certificate": f"{url}/certificate.pdf",
        "page": f"{ours.base_url()}/credentials/{credential_id}",
    }


def document(credential_id: UUID) -> EuropeanCredential | None:
    """A credential's document; made now, and kept, where nobody has asked for it yet.

    None where there is no such credential, or it was revoked.
    """
    with unit_of_work() as session:
        return _documents(session, [credential_id]).get(credential_id)


def upload(credential_id: UUID) -> str | None:
    """The document without a seal, in the form that the EU's web issuer takes as a file; None as above."""
    kept = document(credential_id)
    if kept is None:
        return None
    plain = json.loads(kept.document())
    bare = json.loads(plain["payload"]) if kept.is_sealed else plain
    return json.dumps(wire.upload_form(bare), ensure_ascii=False)


def _documents(session: Session, credential_ids: Sequence[UUID]) -> dict[UUID, EuropeanCredential]:
    """The documents of those of these credentials that are not revoked; what is missing is made."""
    wanted = sa.select(Credential).where(Credential.id.in_(credential_ids), Credential.state != "revoked")
    # Nobody withdraws them meanwhile: a name that is erased must not be left in a document.
    held = wanted.order_by(Credential.id).with_for_update(read=True, of=Credential)
    rows = list(session.scalars(held.execution_options(populate_existing=True)))
    there = sa.select(EuropeanCredential).where(
        EuropeanCredential.credential_id.in_([one.id for one in rows])
    )
    found = {one.credential_id: one for one in session.scalars(there)}
    missing = [one for one in rows if one.id not in found]
    if missing:
        seal = own_seal()
        writers: dict[UUID, Writer] = {}
        for one in missing:
            if one.achievement_id not in writers:
                writers[one.achievement_id] = writer(session, one.achievement)
            text = _made(writers[one.achievement_id], one, certificates.of(session, one), seal)
            found[one.id] = european_credential.keep(session, one.id, text, is_sealed=seal is not None)
    return found


def _made(with_writer: Writer, one: Credential, page: Certificate, seal: Seal | None) -> str:
    """The document of one credential, as it is stored and sent."""
    pages = {language: page.image(language) for language in LANGUAGES}
    award = Award(
        id=one.id,
        subject_id=one.subject_id,
        name=one.holder_name() or "",
        certificate_number=one.certificate_number,
        issued_on=one.issued_on,
        expires_on=one.expires_on,
        page_url=f"{ours.base_url()}/credentials/{one.id}",
        score=one.score,
    )
    if seal is None:
        return json.dumps(with_writer.document(award, pages), separators=(",", ":"), ensure_ascii=False)
    at = seals.now()
    return seal.sealed(with_writer.document(award, pages, seal.sealing(at)), at)


def own_seal() -> Seal | None:
    """The seal that the settings name; None where there is none. Raises BadInput with what is wrong of it."""
    said = settings().europass.seal
    identifier = said.identifier or None
    if said.signer:
        return seals.from_plug_in(said.signer, identifier)
    if said.pkcs12 is None:
        return None
    try:
        changed = said.pkcs12.expanduser().stat().st_mtime
    except OSError as error:
        raise BadInput(f"the seal's file {said.pkcs12} cannot be read: {error.strerror}") from None
    return seals.from_file(said.pkcs12, secret_text(said.password), changed, identifier)


def writer(session: Session, found: Achievement) -> Writer:
    """Writes the documents of one achievement."""
    own, badges = settings().europass, settings().badges
    registration = (own.registration, "NIB") if own.registration else None
    issuer = Organisation(badges.issuer_name, registration, own.country, badges.issuer_url)
    centre = session.get(TrainingCentre, found.lpk_registration_number)
    number = found.lpk_registration_number
    return Writer(
        issuer,
        _achieved(
            found.told(),
            Organisation(
                centre.name if centre is not None else f"LPK {number}",
                (number, "LPK"),
                url=centre.url if centre is not None else None,
            ),
        ),
    )


def _achieved(told: Content, centre: Organisation) -> Achieved:
    return Achieved(
        title=_texts(told.name, told.name_en),
        description=_texts(told.description, told.description_en),
        criteria=_texts(told.criteria, told.criteria_en),
        centre=centre,
        units=tuple((unit.code, _texts(unit.title, unit.title_en)) for unit in told.skkni_units),
        kkni_level=told.kkni_level,
        hours=told.hours,
        isced_f=told.isced_f,
    )


def _texts(indonesian: str, english: str | None) -> Texts:
    return {"id": indonesian} | ({"en": english} if english else {})

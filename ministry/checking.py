"""Ask the ministry's register whether it vouches for a credential. Asking changes nothing, so it may be asked
again whatever happens; `verified` is only what it says in so many words.
"""

import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common import clock, nik
from common.errors import AuthFailed, BadInput, ProviderError, Rejected, Transient
from common.settings import settings
from ministry import line
from ministry.line import SERVICE, Line
from ministry.programs import Faulty
from providers.siplatih.client import Siplatih
from providers.siplatih.wire import Fault, Verification
from records import audit, credential_check, person, process
from records.credential_check import CredentialCheck
from records.db import unit_of_work
from records.process import End, ProcessRun
from records.service_gate import SHUT, Shut

log = logging.getLogger("jembatan.credentials")
MEMBERS = ("credential_id", "credential_url", "participant_nik", "skkni_code", "issuance_date")
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
FOLLOWED_FOR = timedelta(days=14)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{8,15}([Zz]|[+-][0-9]{2}:[0-9]{2})")
_BROKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PRINTED = re.compile(r"[^\x00-\x1f\x7f-\x9f]{3,64}")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Step:
    """What one attempt came to. state: the process's; sentence: why it waits or what a person has to do."""

    check_id: UUID
    credential_id: UUID
    status: str
    state: str
    kind: str = ""
    sentence: str = ""
    until: datetime | None = None


def faults_of(members: Any) -> tuple[dict[str, str], list[Fault]]:
    """The question as it is sent, and all that is wrong with it; no value is repeated."""
    if not isinstance(members, Mapping):
        return {}, [Fault("", "a question is an object with members")]
    faults = [
        Fault(nik.masked_within(_BROKEN.sub("", str(name)))[:64], "there is no such member")
        for name in members
        if name not in MEMBERS
    ]
    asked: dict[str, str] = {}
    for name in MEMBERS:
        value = members.get(name)
        if not isinstance(value, str) or not value.strip():
            faults.append(Fault(name, "it is missing" if value in (None, "") else "a text is needed"))
            continue
        asked[name] = unicodedata.normalize("NFC", value).strip()
        is_broken = _BROKEN.search(asked[name])  # such a text could not be sent
        reason = "it has characters that cannot be printed" if is_broken else _WRONG[name](asked[name])
        if reason is not None:
            faults.append(Fault(name, reason))
    return asked, faults


def ask_for(
    session: Session, members: Any, *, by: str, is_repeat: bool = False
) -> tuple[CredentialCheck, ProcessRun]:
    """Check a question and write it down with its process. Raises Faulty with every fault."""
    asked, faults = faults_of(members)
    if faults:
        raise Faulty(faults)
    return credential_check.ask_for(session, asked, by=by, is_repeat=is_repeat)


def work(runs: Sequence[ProcessRun]) -> list[Step]:
    """Ask for each; where the register is left alone, the rest is put off."""
    over = Line()
    steps: list[Step] = []
    shut: Shut | None = None
    for run in runs:
        with unit_of_work() as session:
            check = session.scalars(sa.select(CredentialCheck).filter_by(process_run_id=run.id)).one()
        if shut is None:
            try:
                steps.append(_asked(over, run, check))
                continue
            except Shut as error:
                shut = error
            except BadInput:
                raise
            except Exception as error:  # whatever one check meets, the others of the batch go on
                log.exception("the check %s cannot be made", check.id)
                sentence = f"Unexpected {type(error).__name__}; the log tells more. Then retry the process"
                steps.append(_stays(run, check, "needs_attention", "unexpected", sentence))
                continue
        steps.append(_stays(run, check, "waiting", SHUT, str(shut), shut.until))
    if shut is not None:
        line.put_off(shut)
    return steps


def _asked(over: Line, run: ProcessRun, check: CredentialCheck) -> Step:
    if check.status != "pending":
        return _answered(check, run)
    try:
        question = credential_check.question_of(check)
    except BadInput as error:  # this check's own: the others may be sealed with a key that we have
        return _stays(run, check, "needs_attention", "unexpected", f"{error}. Then retry the process")

    def send(register: Siplatih) -> Verification:
        _note_sent(run, check, question["participant_nik"])  # only now is it certain that the call goes
        return register.verify_credential(question)

    try:
        told = over.call(send)
    except AuthFailed as error:
        sentence = f"{error}. Check JEMBATAN_SIPLATIH__CLIENT_ID and its secret, then retry the process"
        return _stays(run, check, "needs_attention", "auth-failed", sentence)
    except Rejected as error:
        sentence = f"{error}. Check what was asked, and the register's settings, then retry the process"
        return _stays(run, check, "needs_attention", "rejected", sentence)
    except Shut:
        raise
    except Transient as error:
        return _later(run, check, error)
    with unit_of_work() as session:
        check = credential_check.answered(
            session,
            check.id,
            is_verified=told.is_verified,
            reason=told.reason,
            evidence=told.evidence,
        )
    return _answered(check, run)


def _note_sent(run: ProcessRun, check: CredentialCheck, number: str) -> None:
    """Write into the audit to whom the NIK goes; of somebody whom we do not know, into the check itself."""
    with unit_of_work() as session:
        known = person.find(session, number)
        if known is None:
            credential_check.sent_of_nobody_known(session, check.id)
            return
        audit.note(
            session,
            [known.id],
            "sent",
            ["nik"],
            by=check.requested_by,
            recipient=SERVICE,
            reason="check of a credential",
            origin=f"process {run.id}",
        )


def _later(run: ProcessRun, check: CredentialCheck, error: ProviderError) -> Step:
    if clock.now() - run.created_at > FOLLOWED_FOR:
        sentence = f"{error}. Retry the process once the register is back"
        return _stays(run, check, "needs_attention", "not-reachable", sentence)
    pause: timedelta = FIRST_WAIT * 2 ** min(max(run.attempts - 1, 0), 16)
    until = clock.now() + min(pause, LONGEST_WAIT)
    return _stays(run, check, "waiting", "not-reachable", str(error), until)


def _answered(check: CredentialCheck, run: ProcessRun) -> Step:
    outcome = {
        "check_id": str(check.id),
        "credential_id": str(check.credential_id),
        "verified": check.status == "verified",
        "reason": check.reason,
    }
    with unit_of_work() as session:
        process.end_all(session, [End(run.id, "succeeded", outcome=outcome)])
    return Step(check.id, check.credential_id, check.status, "succeeded", sentence=check.reason or "")


def _stays(
    run: ProcessRun,
    check: CredentialCheck,
    state: str,
    kind: str,
    sentence: str,
    until: datetime | None = None,
) -> Step:
    error = {"type": kind, "message": sentence}
    with unit_of_work() as session:
        process.end_all(session, [End(run.id, state, error=error, until=until)])
    return Step(check.id, check.credential_id, check.status, state, kind, sentence, until)


def _wrong_id(text: str) -> str | None:
    return None if _UUID.fullmatch(text.lower()) else "it has to be a UUID"


def _wrong_url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no address"
    if any(map(str.isspace, text)):
        return "it has a blank in it"
    if nik.is_within(text):
        return "there is a NIK in it, for everybody to read: give the credential another address"
    is_own = settings().env == "sandbox" and parts.scheme == "http" and host in _LOOPBACK
    if not host or len(text) > 2048 or not (parts.scheme == "https" or is_own):
        return "it has to be an https address"
    return None


def _wrong_nik(text: str) -> str | None:
    why = nik.why_implausible(text)
    return None if why is None else f"{why} ({nik.masked(text)})"


def _wrong_skkni(text: str) -> str | None:
    return None if _PRINTED.fullmatch(text) else "it has to be 3 to 64 printable characters"


def _wrong_moment(text: str) -> str | None:
    wants = "it has to be a moment with its zone, as 2024-07-15T10:30:00Z"
    if not _RFC3339.fullmatch(text):
        return wants
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return wants
    return "it is in the future" if at > clock.now() + timedelta(minutes=5) else None


_WRONG = {
    "credential_id": _wrong_id,
    "credential_url": _wrong_url,
    "participant_nik": _wrong_nik,
    "skkni_code": _wrong_skkni,
    "issuance_date": _wrong_moment,
}

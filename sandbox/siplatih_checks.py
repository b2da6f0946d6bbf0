"""What SIPLatih takes: a program, a report of completions, a credential, each member by its rule.

There is no published specification. The members are those of the platform's integration document; which of
them are mandatory, and their limits, are this sandbox's choice (README).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from sandbox import nik
from sandbox.fields import Fields, Findings
from sandbox.refusals import Refusal
from sandbox.wib import now, read_moment

_SNAKE = r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*"
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Rules:
    """What can be chosen about the checks."""

    program_types: Collection[str]
    completion_statuses: Collection[str]
    tolerates_unknown: bool


@dataclass(frozen=True, slots=True)
class ProgramRequest:
    """A program that passed every check; personal data of the instructors is not kept."""

    code: str
    name: str
    lpk: str
    lpk_name: str
    skkni_code: str
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Entry:
    """One participant of a report; nik as it came, which is 16 digits or what was sent in their place."""

    nik: str
    name: str
    status: str
    score: Decimal | None
    certificate: str


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A report whose members have the right form; its participants are still to be looked at one by one."""

    day: date
    entries: list[Entry]
    completion_rate: Decimal
    certification_rate: Decimal


@dataclass(frozen=True, slots=True)
class CredentialRequest:
    """A credential that somebody wants to be verified."""

    credential_id: str
    nik: str
    skkni_code: str


def read_program(members: dict[str, Any], rules: Rules) -> ProgramRequest:
    """Check a program; raises Refusal 422 with every fault."""
    found = Findings()
    body = Fields(found, members)
    code, name = body.text("program_code", longest=64), body.text("program_name")
    body.text("program_name_en", required=False)
    lpk, lpk_name = body.text("lpk_registration_number", longest=64), body.text("lpk_name")
    body.word("program_type", rules.program_types)
    for sector in ("sector", "sub_sector"):
        body.text(sector, required=False, form=_SNAKE, hint="must be in upper snake case")
    start, end = body.day("start_date"), body.day("end_date")
    _durations(body, start, end)
    _location(body, rules)
    skkni = body.text("skkni_code", required=False, longest=64)
    body.whole("participant_capacity")
    for person in body.parts("instructor_qualifications", required=False):
        person.text("name")
        person.text("qualification")
        person.text("certification", required=False)
        _no_more(person, rules)
    for module in body.parts("curriculum"):
        module.text("module_name")
        module.whole("duration_hours")
        module.texts("learning_outcomes")
        _no_more(module, rules)
    _no_more(body, rules)
    _refuse(found)
    assert start  # else there would be findings
    assert end
    return ProgramRequest(code, name, lpk, lpk_name, skkni, start, end)


def read_completions(members: dict[str, Any], starts: date, rules: Rules) -> CompletionRequest:
    """Check the form of a report; raises Refusal 422 with every fault.

    Whether a NIK is plausible is not asked here: an implausible one costs its participant, not the report.
    """
    found = Findings()
    body = Fields(found, members)
    day = body.day("completion_date")
    if day and day > now().date():
        body.fault("completion_date", "must not be in the future")
    if day and day < starts:
        body.fault("completion_date", "must not be before the start of the program")
    entries = []
    for one in body.parts("participants"):
        entries.append(
            Entry(
                one.text("nik", longest=32),
                one.text("full_name"),
                one.word("completion_status", rules.completion_statuses),
                one.number("final_score", decimals=2, required=False),
                one.text("certificate_number", required=False, longest=64),
            )
        )
        _no_more(one, rules)
    completion = body.number("completion_rate", decimals=1)
    certification = body.number("certification_rate", decimals=1)
    if completion is not None and certification is not None and certification > completion:
        body.fault("certification_rate", "must not be above completion_rate")
    _no_more(body, rules)
    _refuse(found)
    assert day
    assert completion is not None
    assert certification is not None
    return CompletionRequest(day, entries, completion, certification)


def read_credential(members: dict[str, Any], rules: Rules) -> CredentialRequest:
    """Check the credential to be verified; raises Refusal 422 with every fault."""
    found = Findings()
    body = Fields(found, members)
    credential_id = body.text("credential_id", form=_UUID, hint="must be a UUID")
    address = body.text("credential_url", longest=2048)
    if address and not _is_web_address(address):
        body.fault("credential_url", "must be an https address")
    number = body.text("participant_nik", longest=32)
    if number and (fault := nik.fault(number)):
        body.fault("participant_nik", fault)
    skkni = body.text("skkni_code", longest=64)
    issued = body.text("issuance_date")
    moment: datetime | None = read_moment(issued)
    if issued and moment is None:
        body.fault("issuance_date", "must be a time with its zone, RFC 3339")
    elif moment and moment > now():
        body.fault("issuance_date", "must not be in the future")
    _no_more(body, rules)
    _refuse(found)
    return CredentialRequest(credential_id, number, skkni)


def _durations(body: Fields, start: date | None, end: date | None) -> None:
    days, hours = body.whole("duration_days"), body.whole("duration_hours")
    if hours > 24 * days > 0:
        body.fault("duration_hours", "must not be more than duration_days have")
    if start and end and end < start:
        body.fault("end_date", "must not be before start_date")
    elif start and end and days > (end - start).days + 1:
        body.fault("duration_days", "must not be more than there are from start_date to end_date")


def _location(body: Fields, rules: Rules) -> None:
    if place := body.part("location"):
        place.text("address")
        place.text("city")
        place.word("province", nik.PROVINCES.values())
        place.text("postal_code", form="[1-9][0-9]{4}", hint="must be five digits, the first not 0")
        _no_more(place, rules)


def _no_more(body: Fields, rules: Rules) -> None:
    if not rules.tolerates_unknown:
        body.no_more()


def _refuse(found: Findings) -> None:
    if found.by_path:
        raise Refusal(422, "VALIDATION_FAILED", "The data sent is not valid", found.by_path)


def _is_web_address(address: str) -> bool:
    """https; http for this machine, where no other can be had."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))

"""What an answer to a report means for each participant in it.

A participant counts as accepted only where the answer leaves no other reading; what does not add up is
unknown.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import Ambiguous, ProviderError, Rejected
from providers import reading
from providers.siplatih.answers import PERSONAL, PROVIDER, Answer, masked
from providers.siplatih.refusals import Conflict, Invalid, NotOffered, TooLarge, UnknownProgram
from providers.siplatih.wire import ParticipantAnswer, Reported

_ROW = re.compile(r"participants\[([0-9]{1,6})\]")
_REPEATED = re.compile(r"ALREADY|DUPLICATE|REPORTED", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
# What makes of "reported already" something else: with other values, or its certificate is in use.
_NO_REPEAT = {"OTHER", "OTHERWISE", "DIFFERENT", "DIFFERENTLY", "DIFFERS", "BEDA", "BERBEDA", "NOT", "CANNOT"}
_NO_REPEAT |= {"TIDAK", "BELUM", "CERTIFICATE", "SERTIFIKAT", "USED"}
_ITS_NO = re.compile(r"FAIL|REJECT|REFUS|ERROR|INVALID|SKIP|DUPLICATE|GAGAL|TOLAK", re.IGNORECASE)
_OF_A_PERSON = frozenset({"nik", "full_name", "certificate_number", "index", "status"})
_NIK = re.compile(r"[0-9]{16}")
ACCEPTED = ParticipantAnswer("accepted")
REPEATED = ParticipantAnswer("accepted", is_repeat=True)
UNTOUCHED = ParticipantAnswer("untouched")


def taken(answer: Answer, sent: Sequence[Mapping[str, Any]]) -> Reported:
    """What became of each where the register took the report, by `data.accepted` and `data.rejected[]` where
    there are any."""
    rejected = reading.member(answer.data, "rejected")
    accepted = reading.member(answer.data, "accepted")
    if rejected is None and accepted is None:
        plain = _unknown("The register says more of them than we understand")
        every = plain if _says_more(answer.data) else ACCEPTED
        return Reported((every,) * len(sent), answer.evidence)
    found = _rejected([] if rejected is None or reading.whole(rejected) == 0 else rejected, sent)
    if found is None:
        unclear = _unknown("The register rejects somebody, and does not say whom")
        return Reported((unclear,) * len(sent), answer.evidence)
    named = _named(accepted, sent) if isinstance(accepted, list) else None
    if named is not None:
        twice = named & found.keys()
        others = _unknown("The register does not say what became of this one")
        whole = {**dict.fromkeys(named, ACCEPTED), **found, **dict.fromkeys(twice, others)}
        return Reported(tuple(whole.get(index, others) for index in range(len(sent))), answer.evidence)
    taken_in = len(accepted) if isinstance(accepted, list) else reading.whole(accepted)
    is_whole = accepted is None or (taken_in is not None and taken_in + len(found) == len(sent))
    others = ACCEPTED if is_whole else _unknown("The register's numbers do not add up")
    return Reported(tuple(found.get(index, others) for index in range(len(sent))), answer.evidence)


def refused(refusal: Rejected, sent: Sequence[Mapping[str, Any]]) -> Reported:
    """What became of each where the register refused the report as a whole but names those that it minds: the
    others were not taken, and go without them. Raises the refusal where it names nobody."""
    if isinstance(refusal, NotOffered):
        raise UnknownProgram(
            PROVIDER, "report", "does not know the program's number", code=refusal.code
        ) from None
    if not isinstance(refusal, Invalid):
        raise refusal
    named: dict[int, ParticipantAnswer] = {}
    for fault in refusal.faults:
        row = _ROW.match(fault.path)
        if row is None or int(row[1]) >= len(sent):
            continue
        index = int(row[1])
        is_done = (
            isinstance(refusal, Conflict)
            and _agrees(fault.certificate_number, sent[index])
            and not fault.path.endswith("certificate_number")
            and not _NO_REPEAT & _words(fault.code or refusal.code)
        )
        where = fault.path.partition("].")[2]
        reason = f"{where}: {fault.reason}" if where else fault.reason
        if is_done:
            named[index] = REPEATED
        elif index not in named or named[index].state == "rejected":
            before = named.get(index)
            whole = f"{before.reason}; {reason}" if before and before.reason else reason
            named[index] = ParticipantAnswer("rejected", fault.code or refusal.code, whole)
    if not named:
        raise refusal
    return Reported(tuple(named.get(index, UNTOUCHED) for index in range(len(sent))))


def not_answered(error: ProviderError, sent: Sequence[Mapping[str, Any]]) -> Reported:
    """What is known of the rest of a report when a later call of it failed."""
    if isinstance(error, (Rejected,)) and not isinstance(error, TooLarge):
        answer = ParticipantAnswer("rejected", error.code, error.reason)
    elif isinstance(error, Ambiguous):
        answer = ParticipantAnswer("unknown", error.code, error.reason)
    else:
        answer = UNTOUCHED
    return Reported((answer,) * len(sent))


def _rejected(listed: Any, sent: Sequence[Mapping[str, Any]]) -> dict[int, ParticipantAnswer] | None:
    """Those that the answer rejects, by their place in what was sent; None where it is not clear whom."""
    if not isinstance(listed, list):
        return None
    found: dict[int, ParticipantAnswer] = {}
    for one in listed:
        index = _place(one, sent)
        if index is None or index in found:
            return None
        personal = [str(value) for name, value in sent[index].items() if name in PERSONAL]
        code = reading.word(one.get("code"), 64)
        if _is_repeat(code) and one.get("certificate_number", "") == _own(sent[index]):
            found[index] = REPEATED  # it has this participant, by this certificate
            continue
        message = reading.word(one.get("message") or one.get("reason"), 4000) or ""
        found[index] = ParticipantAnswer(
            "rejected", code and masked(code, personal), masked(message, personal)
        )
    return found


def _place(one: Any, sent: Sequence[Mapping[str, Any]]) -> int | None:
    """Which participant an entry means: by its index, certificate number and NIK, which have to agree."""
    if not isinstance(one, dict):
        return None
    index, certificate = reading.whole(one.get("index")), one.get("certificate_number")
    if index is not None and index < len(sent):
        own, number = _own(sent[index]), str(one.get("nik", ""))
        if _NIK.fullmatch(number) and number != sent[index]["nik"]:
            return None  # it may count from 1
        is_theirs = _REPEATED.search(reading.word(one.get("code"), 64) or "")  # the one on its books
        return index if certificate is None or own is None or certificate == own or is_theirs else None
    return _place_of(certificate or one.get("nik"), sent)


def _named(listed: Sequence[Any], sent: Sequence[Mapping[str, Any]]) -> set[int] | None:
    """Whom a list of accepted participants names, by their place in what was sent; None where it names nobody
    and only counts. One who is a stranger, or stands there twice, makes it worth nothing."""
    places = [_place_of(one, sent) for one in listed]
    is_of_persons = any(
        place is not None or (isinstance(one, dict) and _OF_A_PERSON & one.keys()) or _NIK.fullmatch(str(one))
        for one, place in zip(listed, places, strict=True)
    )
    if not is_of_persons:
        return None
    known = {place for place in places if place is not None}
    return known if len(known) == len(listed) else set()


def _place_of(one: Any, sent: Sequence[Mapping[str, Any]]) -> int | None:
    if isinstance(one, dict):
        return _place(one, sent)
    if not isinstance(one, str) or not one:
        return None
    same = [at for at, other in enumerate(sent) if one in (other.get("nik"), other.get("certificate_number"))]
    return same[0] if len(same) == 1 else None


def _says_more(data: Any) -> bool:
    """Whether a yes comes with what may be a no for some: a list of them, or a count of failures."""
    listed = [data] if isinstance(data, list) else []
    if isinstance(data, dict):
        if any(value for name, value in data.items() if _ITS_NO.search(name)):
            return True
        listed = [value for value in data.values() if isinstance(value, list)]
    return any(isinstance(one, dict) and _OF_A_PERSON & one.keys() for some in listed for one in some)


def _is_repeat(code: str | None) -> bool:
    """Whether a code says that the participant is there already, and nothing else."""
    return bool(_REPEATED.search(code or "")) and not _NO_REPEAT & _words(code)


def _words(code: str | None) -> set[str]:
    return {word.upper() for word in _WORD.findall(code or "")}


def _unknown(reason: str) -> ParticipantAnswer:
    return ParticipantAnswer("unknown", reason=reason)


def _own(one: Mapping[str, Any]) -> str | None:
    number: str | None = one.get("certificate_number")
    return number


def _agrees(certificate: str | None, one: Mapping[str, Any]) -> bool:
    return certificate is not None and certificate == one.get("certificate_number")

"""The register's verbs. Each works from a plain Python prompt:

    register = Siplatih(settings().siplatih)
    register.register_program(program)

Errors are those of common.errors; more exactly, where it matters, those of providers.siplatih.refusals.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
from tenacity import RetryCallState, Retrying

from common.errors import Ambiguous, AuthFailed, RateLimited, Rejected, Transient
from common.services import Siplatih as Section
from providers import http, reading
from providers.siplatih import answers, reports
from providers.siplatih.answers import PROVIDER, Answer
from providers.siplatih.refusals import Conflict, Invalid, NotOffered, TooLarge, UnknownProgram
from providers.siplatih.tokens import AccessToken, bearer
from providers.siplatih.wire import Registration, Reported, Verification, serialised
from providers.tokens import MemoryTokens, TokenStore

Told = TypeVar("Told")
TRIES, TRIES_WHEN_ASKED_TO_WAIT = 3, 5
LONGEST_PAUSE = 30.0  # seconds; who is asked to wait longer gives the worker back
_OK = frozenset({200, 201, 202})
_OF_THE_HOLDER = ("participant_nik", "nik", "skkni_code")
_NO_MORE = frozenset({"REVOKED", "EXPIRED", "SUSPENDED", "INVALID", "CANCELLED", "CANCELED", "DICABUT"})
_IS_THERE = re.compile(r"ALREADY|EXISTS|TAKEN|DUPLICATE|SUDAH|TELAH|TERDAFTAR", re.IGNORECASE)


class Siplatih:
    """The register, called as one sender; safe to use from several threads."""

    name = PROVIDER

    def __init__(self, config: Section, tokens: TokenStore | None = None) -> None:
        self._config = config
        self._http = http.client(config, ca_bundle=config.ca_bundle)
        self._token = AccessToken(config, self._http, tokens or MemoryTokens())

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def register_program(self, program: Mapping[str, Any]) -> Registration:
        """Register a program, by its own members; once sent it may be registered whatever comes back.

        Raises Conflict (the register has the code), Invalid (with every fault that it names), Rejected,
        Ambiguous (ask `look_up` before it is sent again), Transient, RateLimited, AuthFailed.
        """
        try:
            answer = self._act("register", "/training-programs", program, needs="training:write")
        except Invalid as refusal:
            if isinstance(refusal, Conflict) or not _says_that_it_is_there(refusal):
                raise
            raise Conflict(
                PROVIDER,
                "register",
                refusal.reason,
                code=refusal.code,
                request_id=refusal.request_id,
                faults=refusal.faults,
            ) from None
        made = Registration.of(answer.data, answer.evidence)
        if made is None or made.program_code != program["program_code"]:
            raise Ambiguous(PROVIDER, "register", "answers without the number of this program")
        if not made.is_registered:
            raise Ambiguous(PROVIDER, "register", "says neither yes nor no: its status is another word")
        return made

    def look_up(self, program_code: str) -> list[Registration]:
        """What the register has under a code, of whichever LPK; empty: nothing. Raises NotOffered where it
        cannot be asked."""
        if not self._config.lookup_path:
            raise NotOffered(PROVIDER, "look up", "has no look-up (JEMBATAN_SIPLATIH__LOOKUP_PATH is empty)")
        path = f"{self._config.lookup_path}?{urlencode({'program_code': program_code})}"
        answer = self._read("look up", "GET", path, needs="training:read")
        listed = _listed(answer.data)
        if listed is None:
            raise Rejected(PROVIDER, "look up", "answers in a form that we do not know")
        found = [Registration.of(one, answer.evidence) for one in listed]
        if None in found:
            raise Rejected(PROVIDER, "look up", "lists a program without its number")
        return [one for one in found if one is not None and one.program_code == program_code]

    def report_completion(
        self,
        siplatih_program_id: str,
        completion_date: date,
        participants: Sequence[Mapping[str, Any]],
        *,
        completion_rate: Decimal,
        certification_rate: Decimal,
    ) -> Reported:
        """Report one chunk of a class; tells what became of each participant.

        participants: `nik`, `full_name`, `completion_status`, and where there are any `final_score` (Decimal)
        and `certificate_number`. Rates are those of the whole class, per cent with one decimal. What is too
        large for one call goes in two. Raises as `register_program`, where no participant was taken;
        UnknownProgram where the register does not know the program's number.
        """
        path = f"/training-programs/{quote(siplatih_program_id, safe='')}/completions"
        frame = {
            "completion_date": completion_date.isoformat(),
            "completion_rate": completion_rate,
            "certification_rate": certification_rate,
        }

        def send(some: Sequence[Mapping[str, Any]]) -> Reported:
            body = {**frame, "participants": [dict(one) for one in some]}
            try:
                answer = self._act("report", path, body, needs="training:write")
            except Rejected as refusal:
                return reports.refused(refusal, some)
            return reports.taken(answer, some)

        return self._in_halves(send, participants)

    def verify_credential(self, credential: Mapping[str, Any]) -> Verification:
        """Ask whether the register vouches for a credential; changes nothing, so it may be asked again."""
        path = "/credentials/verify"
        answer = self._read(
            "verify",
            "POST",
            path,
            credential,
            needs="credential:read",
            refusals=frozenset({404, 409, 410, 422}),
        )
        said, why = reading.member(answer.data, "verified"), reading.member(answer.data, "reason")
        reason = answer.message or answers.masked(str(why or ""), tuple(_personal(credential)))
        if said is not True or answer.status not in _OK:
            told = (
                "The register says that it is not"
                if said is False
                else "The register does not say that it is"
            )
            reason = f"{told}: {reason}" if said is False and reason else reason or told
            return Verification(False, reason, answer.evidence)
        if any(_is_other(answer.data, credential, name) for name in ("credential_id", *_OF_THE_HOLDER)):
            return Verification(False, "The register speaks of another credential", answer.evidence)
        if answer.is_bare and reading.word(reading.member(answer.data, "credential_id")) is None:
            # of what, nobody can tell
            return Verification(False, "The register does not say what is verified", answer.evidence)
        if _takes_it_back(answer.data):
            return Verification(False, "The register says yes and no", answer.evidence)
        return Verification(True, "The register says that it is verified", answer.evidence)

    def _in_halves(
        self, send: Callable[[Sequence[Mapping[str, Any]]], Reported], some: Sequence[Mapping[str, Any]]
    ) -> Reported:
        """One call, or two where it is too large; what one half meets is not said of the other."""
        try:
            return send(some)
        except TooLarge:
            if len(some) == 1:
                raise
        half = len(some) // 2
        try:
            first = self._in_halves(send, some[:half])
        except UnknownProgram:
            raise
        except (Ambiguous, Rejected) as error:  # what surely was not sent ends the call instead
            first = reports.not_answered(error, some[:half])
        try:
            second = self._in_halves(send, some[half:])
        except UnknownProgram:
            raise
        except (Ambiguous, AuthFailed, Rejected, Transient) as error:
            second = reports.not_answered(error, some[half:])
        return Reported(first.participants + second.participants, first.evidence + b"\n" + second.evidence)

    def _act(self, operation: str, path: str, body: Mapping[str, Any], *, needs: str) -> Answer:
        """A call that the register acts on: again only where it surely was not taken."""
        sent = serialised(body)
        key = hashlib.sha256(f"{operation} {path}\n".encode() + sent).hexdigest()
        personal = tuple(_personal(body))
        return _again(
            lambda: self._call(
                operation, "POST", path, sent, needs, is_read=False, personal=personal, idempotency_key=key
            )
        )

    def _read(
        self,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        needs: str,
        refusals: frozenset[int] = frozenset(),
    ) -> Answer:
        """A call that changes nothing. refusals: statuses whose answers are read as answers."""
        sent = b"" if body is None else serialised(body)
        personal = tuple(_personal(body or {}))
        return _again(
            lambda: self._call(
                operation, method, path, sent, needs, is_read=True, personal=personal, refusals=refusals
            )
        )

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        sent: bytes,
        needs: str,
        *,
        is_read: bool,
        personal: tuple[str, ...],
        idempotency_key: str = "",
        refusals: frozenset[int] = frozenset(),
    ) -> Answer:
        """The call with a token; once more with a new one where the token is refused."""

        def once(kept: str) -> Answer:
            headers = {"Authorization": f"Bearer {bearer(kept)}"}
            if sent:
                headers["Content-Type"] = "application/json"
            if idempotency_key:
                headers["Idempotency-Key"] = idempotency_key
            try:
                response = http.call(
                    self._http, method, self._config.base_url + path, content=sent, headers=headers
                )
            except httpx.TransportError as error:
                raise http.failed(PROVIDER, operation, error, is_read=is_read) from None
            return answers.answer_of(
                operation, response, is_read=is_read, personal=personal, refusals=refusals
            )

        kept = self._token.current(operation, needs)
        try:
            return once(kept)
        except AuthFailed as error:
            if error.code != answers.TOKEN_REFUSED:
                raise
        return once(self._token.current(operation, needs, refused=kept))


def _is_other(said: Any, asked: Mapping[str, Any], name: str) -> bool:
    """Whether an answer names another credential or holder than was asked about; a masked one is none."""
    told = reading.word(reading.member(said, name))
    return (
        told is not None
        and "*" not in told
        and told.lower() != str(asked.get(name if name != "nik" else "participant_nik", told)).lower()
    )


def _takes_it_back(said: Any) -> bool:
    """Whether a yes stands beside a word that it is valid no more."""
    status = reading.word(reading.member(said, "status")) or ""
    return (
        status.upper() in _NO_MORE
        or reading.member(said, "revoked") is True
        or reading.member(said, "valid") is False
    )


def _says_that_it_is_there(refusal: Invalid) -> bool:
    """Whether a no means that the code is taken, as a fault of that member: Laravel's `unique` is a 422."""
    of_code = [one.reason for one in refusal.faults if one.path == "program_code"]
    return any(_IS_THERE.search(text) for text in (refusal.code or "", *of_code))


def _listed(data: Any) -> list[Any] | None:
    """The programs of a look-up: a list, a page of one (`data`, `items`), or a single program."""
    if isinstance(data, dict):
        if "siplatih_program_id" in data:
            return [data]
        data = next((data[name] for name in ("data", "items") if name in data), None)
    return data if isinstance(data, list) else None


def _again(call: Callable[[], Told]) -> Told:
    """The call, again where it surely did not happen: twice, or four times where it asks us to slow down."""

    def is_over(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateLimited):
            return state.attempt_number >= TRIES_WHEN_ASKED_TO_WAIT or error.retry_after > LONGEST_PAUSE
        return state.attempt_number >= TRIES or not isinstance(error, Transient)

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        least = error.retry_after if isinstance(error, RateLimited) else 0.3
        grown = 2.0 ** (state.attempt_number - 1) * (1.0 if isinstance(error, RateLimited) else 0.3)
        return min(LONGEST_PAUSE, max(least, grown)) * random.uniform(1, 1.25)  # noqa: S311 - no secret

    return Retrying(stop=is_over, wait=pause, reraise=True)(call)


def _personal(members: Any, name: str = "") -> Iterable[str]:
    """Values of a body that an answer may quote and nobody else is to read: names, numbers, papers."""
    if isinstance(members, Mapping):
        for key, value in members.items():
            yield from _personal(value, key)
    elif isinstance(members, (list, tuple)):
        for value in members:
            yield from _personal(value, name)
    elif isinstance(members, str) and name in answers.PERSONAL:
        yield members

"""Checking a badge of anybody's: each check by its name, and the state that follows from all of them.

Shape, signature, key (is it really the issuer's?), status (revoked, suspended?), dates. A check that could
not be made is no check that passed. Works for VC-JWTs and embedded proofs, in a picture or plain.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from common import clock
from providers.open_badges import issuers, proofs, shape, states
from providers.open_badges.fetching import Fetcher
from providers.open_badges.issuers import Known, Named, NotFound, NotTheirs
from providers.open_badges.proofs import Jws, PublicKey, Unproven
from providers.open_badges.reading import Container, Found, Unreadable, parsed, read
from providers.open_badges.shape import Misshapen, issuer_id, moment
from providers.open_badges.states import NotKnown, Said

Name = Literal["shape", "signature", "key", "status", "dates"]
Outcome = Literal["passed", "failed", "unknown", "not_done"]
State = Literal[
    "valid", "not_yet_valid", "expired", "revoked", "suspended", "bad_signature", "unknown_issuer",
    "status_unavailable", "malformed",
]  # fmt: skip
NAMES: tuple[Name, ...] = ("shape", "signature", "key", "status", "dates")
# What we know of our own badges without asking anybody; None: it is not ours.
OwnState = Callable[[dict[str, Any]], Said | None]


@dataclass(frozen=True)
class Check:
    """One check. code: stable, for programs and translations; detail: a sentence in English."""

    name: Name
    outcome: Outcome
    code: str
    detail: str


@dataclass
class Report:
    """What became of a badge. badge: what it says, once it can be read; nothing of it is true unless `state`
    is `valid`. form: how it is signed. reason: of the issuer, where it is revoked."""

    state: State = "malformed"
    checks: list[Check] = field(default_factory=list)
    container: Container | None = None
    form: Literal["jws", "embedded"] | None = None
    badge: dict[str, Any] | None = field(default=None, repr=False)
    reason: str | None = None

    def add(self, name: Name, outcome: Outcome, code: str, detail: str) -> None:
        """Note a check."""
        self.checks.append(Check(name, outcome, code, detail))

    def of(self, name: Name) -> Check:
        """A check by its name."""
        return next(one for one in self.checks if one.name == name)


@dataclass(frozen=True)
class World:
    """What a check asks: keys that are known already, states that are ours, and the network."""

    known: Known
    own_state: OwnState
    fetcher: Fetcher


def check(data: bytes, world: World) -> Report:
    """Check whatever somebody shows us; always gives a report with every check in it."""
    report = Report()
    try:
        _check(data, world, report)
    finally:
        done = {one.name for one in report.checks}
        for name in NAMES:
            if name not in done:
                report.add(name, "not_done", "not_done", "Not checked, as an earlier check failed.")
        report.checks.sort(key=lambda one: NAMES.index(one.name))
    report.state = _state(report)
    return report


def _check(data: bytes, world: World, report: Report) -> None:
    jws: Jws | None = None
    try:
        found = read(data)
        report.container, report.form = found.container, "jws" if found.is_jws else "embedded"
        jws, report.badge = _opened(found)
        shape.check(report.badge)
        if jws is not None:
            _check_claims(jws)
    except Unreadable as error:
        report.add("shape", "failed", error.code, str(error))
        return
    except Misshapen as error:
        report.add("shape", "failed", error.code, f"It is not formed as a badge is: {error}.")
        return
    except Unproven as error:
        report.add("signature", "failed", error.code, str(error))
        return
    report.add("shape", "passed", "fits", "It is formed as Open Badges 3.0 asks.")
    if not _check_signature(report, report.badge, jws, world):
        _check_dates(report, report.badge)
        return
    _check_status(report, report.badge, world)
    _check_dates(report, report.badge)


def _opened(found: Found) -> tuple[Jws | None, dict[str, Any]]:
    if not found.is_jws:
        return None, parsed(found.text)
    jws = proofs.taken_apart(found.text)
    if isinstance(jws.payload.get("vc"), dict) and "@context" not in jws.payload:
        raise Misshapen("old_version", "", "its JWT is made as for version 1.1 of credentials (a vc member)")
    return jws, jws.payload


def _check_claims(jws: Jws) -> None:
    """The claims of a JWT must repeat what the badge says; raises Misshapen."""
    said = jws.payload
    subject = said["credentialSubject"]
    for claim, value in (("iss", issuer_id(said)), ("jti", said["id"]), ("sub", subject.get("id"))):
        if said.get(claim) != value or value is None:
            raise Misshapen("claims_differ", claim, "it does not repeat what the badge says")
    for claim, name in (("nbf", "validFrom"), ("exp", "validUntil")):
        at = moment(said.get(name))
        number = said.get(claim)
        if at is None and number is None:
            continue
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if at is None or not is_number or number != int(at.timestamp()):
            raise Misshapen("claims_differ", claim, "it does not repeat what the badge says")


def _check_signature(report: Report, badge: dict[str, Any], jws: Jws | None, world: World) -> bool:
    """Find the issuer's key and see that the signature fits it; False where nothing more is worth a look."""
    try:
        named = _named(badge, jws)
        try:
            key = issuers.key_of(issuer_id(badge), named, world.known, world.fetcher)
        except NotFound as reason:
            return _check_with_what_it_brought(report, badge, jws, named, str(reason))
        except NotTheirs:
            if named.brought is not None:
                _verify(badge, jws, named.brought)
            report.add(
                "key", "failed", "not_theirs", "The issuer's own keys do not include the one that signed."
            )
            report.add(
                "signature", "failed", "wrong_key", "It is not signed with a key of the issuer it names."
            )
            return False
        _verify(badge, jws, key)
    except Unproven as error:
        report.add("signature", "failed", error.code, str(error))
        return False
    report.add("signature", "passed", "fits", "Its signature fits: nothing was changed since it was signed.")
    report.add("key", "passed", "published", f"The key is one that {issuer_id(badge)} publishes.")
    return True


def _check_with_what_it_brought(
    report: Report, badge: dict[str, Any], jws: Jws | None, named: Named, reason: str
) -> bool:
    """The issuer's keys cannot be had: the key that came along tells whether something was changed, and
    nothing of who signed."""
    report.add("key", "unknown", "no_keys", f"Whether the issuer signed it cannot be said: {reason}.")
    if named.brought is None:
        report.add("signature", "unknown", "no_keys", "Without the issuer's key it cannot be checked.")
        return True
    _verify(badge, jws, named.brought)
    detail = "Its signature fits the key that came along with it: nothing was changed."
    report.add("signature", "passed", "fits_brought_key", detail)
    return True


def _named(badge: dict[str, Any], jws: Jws | None) -> Named:
    if jws is not None:
        kid = jws.header.get("kid")
        named = Named(kid if isinstance(kid, str) else None, proofs.from_jwk(jws.header.get("jwk")))
        if named.by_id is None and named.brought is None:
            raise Unproven("no_method", "Its header does not say which key signed it.")
        return named
    method = str(proofs.the_proof(badge)["verificationMethod"])
    base, _, fragment = method.partition("#")
    brought = proofs.from_multikey(fragment or base.removeprefix("did:key:"))
    return Named(method, brought)


def _verify(badge: dict[str, Any], jws: Jws | None, key: PublicKey) -> None:
    if jws is not None:
        proofs.check_jws(jws, key)
    else:
        proofs.check_embedded(badge, key)


def _check_status(report: Report, badge: dict[str, Any], world: World) -> None:
    try:
        said = world.own_state(badge) or states.state_of(badge, _proven(world), world.fetcher)
    except NotKnown as reason:
        report.add("status", "unknown", "not_known", f"Whether it is still good cannot be said: {reason}.")
        return
    report.reason = said.reason
    if said.state == "valid" and not said.has_status:
        report.add("status", "passed", "none", "The issuer gave it no status: it cannot be revoked.")
    elif said.state == "valid":
        report.add("status", "passed", "good", "The issuer has neither revoked nor suspended it.")
    else:
        because = f": {said.reason}" if said.reason else ""
        report.add("status", "failed", said.state, f"The issuer has {said.state} it{because}.")


def _proven(world: World) -> Callable[[str], dict[str, Any]]:
    """Opens a status list whose own signature fits a key of its issuer."""

    def opened(text: str) -> dict[str, Any]:
        jws = None if text.startswith("{") else proofs.taken_apart(text)
        listed = parsed(text) if jws is None else jws.payload
        named = _named(listed, jws)
        try:
            key = issuers.key_of(issuer_id(listed), named, world.known, world.fetcher)
        except (NotFound, NotTheirs):
            raise Unproven("wrong_key", "It is not signed with a key of its issuer.") from None
        if jws is not None:
            proofs.check_jws(jws, key)
        else:
            proofs.check_embedded_list(listed, key)
        return listed

    return opened


def _check_dates(report: Report, badge: dict[str, Any]) -> None:
    begins, ends = moment(badge["validFrom"]), moment(badge.get("validUntil"))
    now = clock.now()
    if begins is not None and begins > now + states.SKEW:
        report.add("dates", "failed", "not_yet_valid", f"It is valid from {_day(begins)} on.")
    elif ends is not None and ends < now:
        report.add("dates", "failed", "expired", f"It was valid until {_day(ends)}.")
    else:
        until = f" until {_day(ends)}" if ends is not None else ""
        report.add("dates", "passed", "in_time", f"It is valid today{until}.")


def _day(at: datetime) -> str:
    return f"{clock.in_jakarta(at):%d %b %Y %H:%M} WIB"


def _state(report: Report) -> State:
    """The worst that is certain, then what is not certain; `valid` only where every check passed."""
    by_name = {one.name: one for one in report.checks}
    if by_name["shape"].outcome == "failed":
        return "malformed"
    if "failed" in (by_name["signature"].outcome, by_name["key"].outcome):
        return "bad_signature"
    status, dates = by_name["status"], by_name["dates"]
    if status.outcome == "failed":
        return "suspended" if status.code == "suspended" else "revoked"
    if dates.outcome == "failed":
        return "expired" if dates.code == "expired" else "not_yet_valid"
    if by_name["key"].outcome != "passed" or by_name["signature"].outcome != "passed":
        return "unknown_issuer"
    return "valid" if status.outcome == "passed" else "status_unavailable"

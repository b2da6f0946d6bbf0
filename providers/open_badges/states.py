"""What the issuer says of a badge since it was signed: its place in a status list, or a list of ids."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from openbadgeslib.errors import LibOpenBadgesException
from openbadgeslib.ob3 import decode_encoded_list

from common import clock
from providers.open_badges.fetching import Fetcher, NotFetched
from providers.open_badges.proofs import Unproven
from providers.open_badges.reading import Unreadable, parsed
from providers.open_badges.shape import issuer_id, moment

State = Literal["valid", "revoked", "suspended"]
SKEW = timedelta(minutes=2)
_LISTS = ("BitstringStatusListEntry", "StatusList2021Entry")
_ENDS = {"revocation": "revoked", "suspension": "suspended"}
# Gives a list's contents where its own signature holds; raises Unproven, Unreadable.
Proven = Callable[[str], dict[str, Any]]


class NotKnown(Exception):
    """The state could not be had, and so the badge does not pass. The text says why."""


@dataclass(frozen=True)
class Said:
    """What the issuer says. has_status: it gave the badge a status at all."""

    state: State
    reason: str | None = None
    has_status: bool = True


def state_of(badge: dict[str, Any], proven: Proven, fetcher: Fetcher) -> Said:
    """The state of a badge by every entry that it has; raises NotKnown where one of them cannot be read."""
    entries = badge.get("credentialStatus")
    listed = entries if isinstance(entries, list) else [] if entries is None else [entries]
    found = Said("valid", has_status=bool(listed))
    for entry in listed:
        if not isinstance(entry, dict):
            raise NotKnown("its status is written in no known form")
        types = entry.get("type")
        named = types if isinstance(types, list) else [types]
        if any(one in named for one in _LISTS):
            said = _by_list(badge, entry, proven, fetcher)
        elif "1EdTechRevocationList" in named:
            said = _by_revocations(badge, entry, fetcher)
        else:
            raise NotKnown("its status is of a kind that is not known here")
        if said.state == "revoked":
            return said
        if said.state != "valid":
            found = said
    return found


def _by_list(badge: dict[str, Any], entry: dict[str, Any], proven: Proven, fetcher: Fetcher) -> Said:
    purpose = entry.get("statusPurpose", "revocation")
    if not isinstance(purpose, str):
        raise NotKnown("its status is written in no known form")
    if purpose not in _ENDS:
        return Said("valid")  # a message of the issuer, which does not end a badge
    if str(entry.get("statusSize", 1)) != "1":
        raise NotKnown("its status takes more than one bit")
    url, index = entry.get("statusListCredential"), str(entry.get("statusListIndex"))
    if not isinstance(url, str) or not index.isascii() or not index.isdigit() or len(index) > 9:
        raise NotKnown("its status is written in no known form")
    try:
        text = fetcher.get(url, "application/vc+jwt, application/vc+ld+json, */*").decode("utf-8").strip()
        listed = proven(text)
    except NotFetched as reason:
        raise NotKnown(f"the status list cannot be had: {reason}") from None
    except (UnicodeDecodeError, Unreadable):
        raise NotKnown("the status list cannot be read") from None
    except Unproven:
        raise NotKnown("the status list is not signed by the issuer") from None
    if issuer_id(listed) != issuer_id(badge):
        raise NotKnown("the status list is another issuer's")
    _check_dates(listed)
    return Said(_bit(listed, purpose, int(index)))


def _check_dates(listed: dict[str, Any]) -> None:
    now = clock.now()
    until = listed.get("validUntil")
    ends: datetime | None = moment(until)
    if until is not None and (ends is None or ends < now - SKEW):
        raise NotKnown("the status list is out of date")
    begins = moment(listed.get("validFrom"))
    if begins is not None and begins > now + SKEW:
        raise NotKnown("the status list is not valid yet")


def _bit(listed: dict[str, Any], purpose: str, index: int) -> State:
    subject = listed.get("credentialSubject")
    purposes = subject.get("statusPurpose") if isinstance(subject, dict) else None
    if not isinstance(subject, dict) or purpose not in (
        purposes if isinstance(purposes, list) else [purposes]
    ):
        raise NotKnown("the status list is for something else")
    try:
        bits = decode_encoded_list(subject.get("encodedList", ""))
    except (ValueError, LibOpenBadgesException):
        raise NotKnown("the status list cannot be unpacked") from None
    if index >= len(bits) * 8:
        raise NotKnown("its place is outside the status list")
    is_set = bool(bits[index // 8] & (0x80 >> index % 8))
    if not is_set:
        return "valid"
    return "revoked" if _ENDS[purpose] == "revoked" else "suspended"


def _by_revocations(badge: dict[str, Any], entry: dict[str, Any], fetcher: Fetcher) -> Said:
    """A list of revoked ids, open JSON; it is the issuer's where its host serves it over TLS."""
    url = entry.get("id")
    if not isinstance(url, str):
        raise NotKnown("its status is written in no known form")
    try:
        document = parsed(fetcher.get(url))
    except NotFetched as why:
        raise NotKnown(f"the list of revocations cannot be had: {why}") from None
    except Unreadable:
        raise NotKnown("the list of revocations cannot be read") from None
    revoked = document.get("revokedCredential", [])
    if not isinstance(revoked, list):
        raise NotKnown("the list of revocations cannot be read")
    for one in revoked:
        named = one.get("id") if isinstance(one, dict) else one
        if named == badge["id"] and (not isinstance(one, dict) or one.get("revoked", True)):
            reason = one.get("revocationReason") if isinstance(one, dict) else None
            return Said("revoked", reason if isinstance(reason, str) else None)
    return Said("valid")

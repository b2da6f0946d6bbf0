"""The shape of a badge: what the standard requires to be there, and what each part must be.

The official schema says the same and more (`schema.py`, for badges that name it). Here it is what a verifier
needs before it believes anything of any badge, each fault with a name.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from providers.open_badges import schema
from providers.open_badges.schema import OB_CONTEXT, VC_CONTEXT

_ZONED = re.compile(r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


class Misshapen(Exception):
    """What is wrong with the shape. where: the member. code: stable."""

    def __init__(self, code: str, where: str, reason: str) -> None:
        self.code = code
        self.where = where
        super().__init__(f"{where}: {reason}" if where else reason)


@dataclass(frozen=True)
class _Part:
    """One kind of object. types: one of which its `type` names. members: parts that it may have."""

    types: frozenset[str]
    required: tuple[str, ...] = ()
    members: dict[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()


_PARTS = {
    "subject": _Part(
        frozenset({"AchievementSubject"}),
        ("achievement",),
        {"achievement": "achievement", "identifier": "identity", "result": "result", "source": "profile"},
    ),
    "achievement": _Part(
        frozenset({"Achievement"}),
        ("id", "name", "description", "criteria"),
        {
            "alignment": "alignment",
            "creator": "profile",
            "otherIdentifier": "identifier",
            "resultDescription": "result description",
            "related": "related",
            "image": "image",
        },
        ("id", "name", "description", "humanCode", "inLanguage", "achievementType"),
    ),
    "profile": _Part(
        frozenset({"Profile"}),
        ("id",),
        {"parentOrg": "profile", "otherIdentifier": "identifier", "image": "image"},
        ("id", "name", "url", "email", "description"),
    ),
    "alignment": _Part(
        frozenset({"Alignment"}),
        ("targetName", "targetUrl"),
        {},
        ("targetName", "targetUrl", "targetCode", "targetFramework", "targetType"),
    ),
    "identity": _Part(
        frozenset({"IdentityObject"}),
        ("hashed", "identityHash", "identityType"),
        {},
        ("identityHash", "identityType", "salt"),
    ),
    "identifier": _Part(
        frozenset({"IdentifierEntry"}), ("identifier", "identifierType"), {}, ("identifier",)
    ),
    "result": _Part(
        frozenset({"Result"}), (), {"alignment": "alignment"}, ("value", "status", "achievedLevel")
    ),
    "result description": _Part(
        frozenset({"ResultDescription"}),
        ("id", "name", "resultType"),
        {"alignment": "alignment"},
        ("id", "name"),
    ),
    "related": _Part(frozenset({"Related"}), ("id",), {}, ("id",)),
    "image": _Part(frozenset({"Image"}), ("id",), {}, ("id", "caption")),
    "evidence": _Part(frozenset({"Evidence"}), (), {}, ("id", "name", "narrative", "description")),
}


def check(badge: dict[str, Any]) -> None:
    """See that this is an AchievementCredential of version 3.0; raises Misshapen."""
    _check_contexts(badge.get("@context"))
    types = _types(badge, "type")
    if "VerifiableCredential" not in types or not types & {"OpenBadgeCredential", "AchievementCredential"}:
        raise Misshapen("wrong_type", "type", "it is no OpenBadgeCredential")
    _text(badge, "id", "id", is_uri=True)
    _issuer(badge.get("issuer"))
    _instant(badge, "validFrom", required=True)
    for name in ("validUntil", "awardedDate"):
        _instant(badge, name, required=False)
    for name in ("name", "description"):
        if name in badge:
            _text(badge, name, name)
    _part("credentialSubject", badge.get("credentialSubject"), "subject")
    subject = badge["credentialSubject"]
    if not subject.get("id") and not subject.get("identifier"):
        raise Misshapen(
            "no_recipient", "credentialSubject", "it names no recipient: neither id nor identifier"
        )
    criteria = subject["achievement"].get("criteria")
    if not isinstance(criteria, dict) or not (criteria.get("narrative") or criteria.get("id")):
        raise Misshapen("missing", "achievement.criteria", "it has neither narrative nor id")
    for name, kind in (("evidence", "evidence"), ("image", "image")):
        if name in badge:
            _part(name, badge[name], kind)
    if schema.is_named_by(badge) and (where := schema.fault(badge)) is not None:
        raise Misshapen("off_schema", where, "it does not fit the schema that the badge names")


def issuer_id(badge: dict[str, Any]) -> str:
    """Who the badge says that it is from."""
    issuer = badge.get("issuer")
    found = issuer.get("id") if isinstance(issuer, dict) else issuer
    return found if isinstance(found, str) else ""


def moment(text: Any) -> datetime | None:
    """A time with its zone; None where it is none."""
    if not isinstance(text, str) or not _ZONED.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _check_contexts(contexts: Any) -> None:
    if not isinstance(contexts, list) or len(contexts) < 2 or contexts[0] != VC_CONTEXT:
        raise Misshapen(
            "wrong_context", "@context", "the first is not that of verifiable credentials, version 2"
        )
    if not isinstance(contexts[1], str) or not OB_CONTEXT.fullmatch(contexts[1]):
        raise Misshapen("wrong_context", "@context", "the second is not that of Open Badges 3.0")


def _issuer(issuer: Any) -> None:
    if isinstance(issuer, str):
        if not _URI.fullmatch(issuer):
            raise Misshapen("wrong_issuer", "issuer", "it is no URI")
        return
    _part("issuer", issuer, "profile")


def _part(where: str, value: Any, kind: str) -> None:
    """Check an object, or each of a list of them."""
    if isinstance(value, list) and kind not in ("subject", "achievement"):
        for number, one in enumerate(value):
            _part(f"{where}[{number}]", one, kind)
        return
    if isinstance(value, str) and kind == "profile" and _URI.fullmatch(value):
        return
    if not isinstance(value, dict):
        raise Misshapen("missing", where, "it is not there, or no object")
    part = _PARTS[kind]
    if not _types(value, where) & part.types:
        raise Misshapen("wrong_type", where, f"its type is not {', '.join(sorted(part.types))}")
    for name in part.required:
        if value.get(name) in (None, ""):
            raise Misshapen("missing", f"{where}.{name}", "it is not there")
    for name in part.texts:
        if name in value:
            _text(value, name, f"{where}.{name}")
    for name, inner in part.members.items():
        if name in value:
            _part(f"{where}.{name}", value[name], inner)


def _types(value: dict[str, Any], where: str) -> set[str]:
    types = value.get("type")
    listed = types if isinstance(types, list) else [types]
    if not listed or not all(isinstance(one, str) for one in listed):
        raise Misshapen("wrong_type", where, "it has no type")
    return set(listed)


def _text(value: dict[str, Any], name: str, where: str, *, is_uri: bool = False) -> None:
    text = value.get(name)
    if not isinstance(text, str) or (is_uri and not _URI.fullmatch(text)):
        raise Misshapen("no_text", where, "it is no " + ("URI" if is_uri else "plain text"))


def _instant(badge: dict[str, Any], name: str, *, required: bool) -> None:
    if (required or name in badge) and moment(badge.get(name)) is None:
        raise Misshapen("no_time", name, "it is no time with a zone")

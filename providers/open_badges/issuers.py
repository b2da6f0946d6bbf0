"""The keys of an issuer: those of its DID document or its JWK set, and not those that a badge brings along.

A key in the header of a badge says who signed nothing: only where the issuer itself publishes it, it counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from providers.open_badges.fetching import Fetcher, NotFetched
from providers.open_badges.proofs import PublicKey, from_jwk, from_multikey, same
from providers.open_badges.reading import Unreadable, parsed

# Keys of an issuer that is known without asking: by the ids under which badges name them. None: not known.
Known = Callable[[str], Mapping[str, PublicKey] | None]


class NotFound(Exception):
    """The issuer's keys could not be had: whether this one is among them is not known. The text says why."""


class NotTheirs(Exception):
    """The issuer publishes its keys, and the one that signed is not among them."""


@dataclass(frozen=True)
class Named:
    """How a badge names the key that signed it. by_id: a URI; brought: the key that came along with it."""

    by_id: str | None
    brought: PublicKey | None


def key_of(issuer_id: str, named: Named, known: Known, fetcher: Fetcher) -> PublicKey:
    """The issuer's key that the badge names; raises NotFound or NotTheirs."""
    published = _published(issuer_id, known, fetcher)
    if named.by_id is not None:
        by_id = issuer_id + named.by_id if named.by_id.startswith("#") else named.by_id
        found = published.get(by_id)
        is_address = named.brought is None and by_id.startswith(("https://", "http://"))
        if found is None and is_address and known(issuer_id) is None:
            found = _under_its_address(by_id, published, fetcher)
        if found is not None:
            if named.brought is not None and not same(found, named.brought):
                raise NotTheirs
            return found
    if named.brought is not None:
        for key in published.values():
            if same(key, named.brought):
                return key
    elif named.by_id is None and len(published) == 1:
        return next(iter(published.values()))
    raise NotTheirs


def _under_its_address(url: str, published: Mapping[str, PublicKey], fetcher: Fetcher) -> PublicKey | None:
    """The key that stands alone under the address by which the badge names it, where the issuer publishes the
    very same; raises NotFound. The address alone says nothing: anybody may put a key there."""
    document = _fetched(fetcher, url)
    key = from_jwk(document) or from_multikey(document.get("publicKeyMultibase"))
    return next((one for one in published.values() if key is not None and same(one, key)), None)


def _published(issuer_id: str, known: Known, fetcher: Fetcher) -> Mapping[str, PublicKey]:
    ours = known(issuer_id)
    if ours is not None:
        return ours
    if issuer_id.startswith("did:web:"):
        return _of_did_document(issuer_id, _fetched(fetcher, _did_web_url(issuer_id)))
    if issuer_id.startswith(("https://", "http://")):
        return _of_web_issuer(issuer_id, fetcher)
    if issuer_id.startswith("did:key:"):
        raise NotFound("it names itself by a key (did:key), and nothing says whose that is")
    raise NotFound("it has an id under which no keys can be found")


def _of_web_issuer(issuer_id: str, fetcher: Fetcher) -> Mapping[str, PublicKey]:
    """The keys of an issuer with a web address: its host's JWK set, else what the address itself lists."""
    parts = urlsplit(issuer_id)
    try:
        jwk_set = _fetched(fetcher, f"{parts.scheme}://{parts.netloc}/.well-known/jwks.json")
        found = _of_jwk_set(issuer_id, jwk_set)
        if found:
            return found
    except NotFound:
        found = {}
    document = _fetched(fetcher, issuer_id)
    if document.get("id") == issuer_id:
        found = _of_did_document(issuer_id, document)
    if not found:
        raise NotFound("it publishes no keys")
    return found


def _fetched(fetcher: Fetcher, url: str) -> dict[str, Any]:
    try:
        return parsed(fetcher.get(url))
    except NotFetched as reason:
        raise NotFound(str(reason)) from None
    except Unreadable:
        raise NotFound("what it publishes cannot be read") from None


def _did_web_url(did: str) -> str:
    host, *segments = (unquote(part) for part in did.removeprefix("did:web:").split(":"))
    if not host or "/" in host or any("/" in one or one in ("", ".", "..") for one in segments):
        raise NotFound("it has a DID that leads nowhere")
    # did:web is https; on this machine itself, in the sandbox, there is no certificate.
    scheme = "http" if host.rpartition(":")[0] in ("127.0.0.1", "localhost") else "https"
    path = "/".join(segments) if segments else ".well-known"
    return f"{scheme}://{host}/{path}/did.json"


def _of_did_document(did: str, document: dict[str, Any]) -> Mapping[str, PublicKey]:
    """The keys with which the DID makes statements, by id."""
    if document.get("id") != did:
        raise NotFound("its DID document is about somebody else")
    methods = {}
    for one in _listed(document.get("verificationMethod")) + _listed(document.get("assertionMethod")):
        key = from_jwk(one.get("publicKeyJwk")) or from_multikey(one.get("publicKeyMultibase"))
        if isinstance(one.get("id"), str) and key is not None and one.get("controller", did) == did:
            methods[_absolute(did, one["id"])] = key
    asserted = document.get("assertionMethod")
    if not isinstance(asserted, list):
        return methods
    allowed = {_absolute(did, one.get("id") if isinstance(one, dict) else one) for one in asserted}
    return {name: key for name, key in methods.items() if name in allowed}


def _listed(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _absolute(did: str, name: Any) -> str:
    text = name if isinstance(name, str) else ""
    return did + text if text.startswith("#") else text


def _of_jwk_set(issuer_id: str, document: dict[str, Any]) -> Mapping[str, PublicKey]:
    """The keys of a host that are this issuer's: on a host of several each says whose it is."""
    found = {}
    for number, one in enumerate(_listed(document.get("keys"))):
        key = from_jwk({name: value for name, value in one.items() if name != "iss"})
        if key is not None and one.get("iss", issuer_id) == issuer_id:
            found[str(one.get("kid", f"number {number}"))] = key
    return found

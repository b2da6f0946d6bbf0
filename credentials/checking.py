"""Checking a badge that somebody shows us: ours by our own records, others' by what their issuers publish."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from credentials import ours
from providers.open_badges import keys as wire
from providers.open_badges.fetching import Fetcher
from providers.open_badges.proofs import PublicKey, from_jwk
from providers.open_badges.shape import issuer_id
from providers.open_badges.states import Said
from providers.open_badges.verify import Report, World
from providers.open_badges.verify import check as checked
from records.credential import Credential
from records.db import unit_of_work


def check(data: bytes, fetcher: Fetcher | None = None) -> Report:
    """Every check of a badge, in a picture or plain; always gives a report. fetcher: of the tests."""
    if fetcher is not None:
        return checked(data, World(_known, _own_state, fetcher))
    with Fetcher() as own:
        return checked(data, World(_known, _own_state, own))


def _known(issuer: str) -> Mapping[str, PublicKey] | None:
    if issuer != ours.issuer().id:
        return None
    with unit_of_work() as session:
        public = ours.public_keys(session)
    read = {wire.method_id(issuer, key_id): from_jwk(jwk) for key_id, jwk in public.items()}
    return {name: key for name, key in read.items() if key is not None}


def _own_state(badge: dict[str, Any]) -> Said | None:
    """What our records say of a badge of ours, whoever signed it: at once, and with the reason."""
    if issuer_id(badge) != ours.issuer().id:
        return None
    base, _, name = str(badge["id"]).rpartition("/credentials/")
    try:
        credential_id = UUID(name)
    except ValueError:
        return None
    if base != ours.base_url():
        return None
    with unit_of_work() as session:
        found = session.get(Credential, credential_id)
        if found is None:
            return None
        if found.state == "revoked":
            return Said("revoked", found.reason)
        return Said("suspended", found.reason) if found.state == "suspended" else Said("valid")

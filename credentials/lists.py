"""Our status lists as others read them: signed when a state in them has changed, and every hour."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from common import clock
from credentials import ours
from providers.open_badges import status_list as wire
from providers.open_badges.document import list_url
from providers.open_badges.status_list import Purpose
from records import credential_state, status_list
from records.db import at_once, database_url, unit_of_work

Form = Literal["jws", "embedded"]
AFRESH = timedelta(hours=1)
# A badge names one list only, that of revocations: what is suspended counts as revoked there until it is
# restored, or a suspended badge would pass everywhere but here (docs/decisions/0024).
_STATES: dict[Purpose, tuple[str, ...]] = {
    "revocation": ("revoked", "suspended"),
    "suspension": ("suspended",),
}
_MOST_KEPT = 64
_MARK = b"""SELECT list.version, key.id FROM status_lists list
    JOIN signing_keys key ON key.id = %s AND key.withdrawn_at IS NULL WHERE list.number = %s"""


@dataclass(frozen=True)
class Signed:
    """A list as it was signed. version: of the states in it, and the key."""

    body: str
    version: tuple[int, str]
    at: datetime


_kept: dict[tuple[str, str, str, int, str], Signed] = {}
_signing = threading.Lock()


def signed(purpose: Purpose, number: int, form: Form) -> Signed | None:
    """The list as it is now; None where there is none. A change is seen by the next who asks."""
    alg = ours.jws_alg() if form == "jws" else "EdDSA"
    where = (database_url(), ours.base_url(), purpose, number, form)
    kept = _kept.get(where)
    if kept is not None and kept.at >= clock.now() - AFRESH:
        with at_once() as db:
            mark = db.execute(_MARK, [ours.keys().for_alg(alg).id, number]).fetchone()
        if mark == kept.version:
            return kept
    with unit_of_work() as session:
        known = status_list.known(session, number)
        if known is None:
            return None
        size, version = known
        with_key = ours.signer(session, alg)
        mark = (version, with_key.key.id)
        with _signing:
            kept = _kept.get(where)
            if kept is None or kept.version != mark or kept.at < clock.now() - AFRESH:
                document = wire.document(
                    ours.issuer().id,
                    list_url(ours.base_url(), purpose, number),
                    purpose,
                    credential_state.not_valid(session, number, _STATES[purpose]),
                    size,
                    clock.now(),
                )
                body = with_key.jws(document) if form == "jws" else with_key.embedded(document)
                while len(_kept) >= _MOST_KEPT:
                    _kept.pop(next(iter(_kept)))
                kept = _kept[where] = Signed(body, mark, clock.now())
            return kept

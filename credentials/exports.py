"""Exports of credentials: the targets there are, and one step of a batch of them.

What is made in this house is a function that gets a session which holds the exports of some credentials,
and tells how far each has come. What leaves this house has its own transactions: it marks its rows `sent`
before it goes, calls with no transaction open, and notes what became of it.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from credentials import badges, european
from records import credential_export
from records.credential_export import Step
from records.db import unit_of_work

Maker = Callable[[Session, Sequence[UUID]], list[Step]]
Sender = Callable[[Sequence[UUID]], list[Step]]
MADE_HERE: dict[str, Maker] = {badges.TARGET: badges.export}
SENT: dict[str, Sender] = {european.TARGET: european.export}
TARGETS = (*MADE_HERE, *SENT)
BATCH = 500  # credentials of one step


def step(target: str, credential_ids: Sequence[UUID]) -> list[Step]:
    """Bring the exports of these credentials to one target as far as they go now; those that another worker
    has brought further meanwhile are left out."""
    if target in SENT:
        return SENT[target](credential_ids)
    with unit_of_work() as session:
        held = [one.credential_id for one in credential_export.hold(session, target, credential_ids)]
        if not held:
            return []
        steps = MADE_HERE[target](session, held)
        credential_export.apply(session, target, steps)
        return steps

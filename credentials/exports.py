"""Exports of credentials: the targets there are, and one step of a batch of them.

A target is a function: it gets a session that holds the exports of some credentials, and tells how far each
has come. What leaves this house marks its rows `sent` in a transaction of its own before it goes.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from credentials import badges
from records import credential_export
from records.credential_export import Step
from records.db import unit_of_work

Exporter = Callable[[Session, Sequence[UUID]], list[Step]]
TARGETS: dict[str, Exporter] = {badges.TARGET: badges.export}
BATCH = 500  # credentials of one step


def step(target: str, credential_ids: Sequence[UUID]) -> list[Step]:
    """Bring the exports of these credentials to one target as far as they go now; those that another worker
    has brought further meanwhile are left out."""
    with unit_of_work() as session:
        held = [one.credential_id for one in credential_export.hold(session, target, credential_ids)]
        if not held:
            return []
        steps = TARGETS[target](session, held)
        credential_export.apply(session, target, steps)
        return steps

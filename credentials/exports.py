"""Exports of credentials: the targets there are, and one step of a batch of them.

A target is a function: it gets a session that holds the exports of some credentials, and tells how far each
has come. What leaves this house marks its rows `sent` in a transaction of its own before it goes.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from credentials import badges
from records import credential_export
from records.credential_export import CredentialExport, Step
from records.db import unit_of_work

Exporter = Callable[[Session, Sequence[UUID]], list[Step]]
TARGETS: dict[str, Exporter] = {badges.TARGET: badges.export}
BATCH = 500  # credentials of one step


def step(target: str, credential_ids: Sequence[UUID]) -> list[Step]:
    """Bring the exports of these credentials to one target as far as they go now; those that another worker
    has brought further meanwhile are left out."""
    with unit_of_work() as session:
        held = credential_export.hold(session, target, credential_ids)
        if not held:
            return []
        steps = TARGETS[target](session, held)
        credential_export.apply(session, target, steps)
        return steps


def links(one: CredentialExport) -> dict[str, str]:
    """Where the result of an export is to be had."""
    if one.target == badges.TARGET:
        return badges.links(one.credential_id) if one.state == "done" else {}
    return dict(one.links)


def shown(one: CredentialExport) -> dict[str, Any]:
    """An export as an outcome shows it: ids and links, nothing personal."""
    return {
        "credential_id": str(one.credential_id),
        "target": one.target,
        "state": one.state,
        "links": links(one),
        "problem": one.problem,
    }

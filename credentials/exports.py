"""Exports of credentials: the targets there are, and one step of a batch of them.

A target is a function that brings a batch of its exports as far as they go now, in transactions of its own:
it locks what it works (`credential_export.hold`), and notes how far it has come (`credential_export.apply`).
What leaves this house is marked `sent` and committed before it goes: no transaction is open during HTTP.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from credentials import badges, european, sharing
from records import linkedin_share
from records.credential_export import CredentialExport, Step


@dataclass(frozen=True)
class Target:
    """Where credentials go. batch: how many go in one step."""

    export: Callable[[Sequence[UUID]], list[Step]]
    batch: int


TARGETS: dict[str, Target] = {
    badges.TARGET: Target(badges.export, 2_000),
    european.TARGET: Target(european.export, 240),
    linkedin_share.TARGET: Target(sharing.export, 100),
}


def step(target: str, credential_ids: Sequence[UUID]) -> list[Step]:
    """Bring the exports of these credentials to one target as far as they go now; those that another worker
    has brought further meanwhile are left out."""
    return TARGETS[target].export(credential_ids)


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

"""The sandbox's issuer of European credentials as the tests use it: its books, and its bad days."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import sqlalchemy as sa

from credentials import exports
from records import credential_export
from records.credential_export import CredentialExport
from records.db import unit_of_work

ADMIN = "/_sandbox/europass"


@dataclass(frozen=True)
class Issuing:
    """A sandbox at work. Its books are its own: none of our code counts what it took."""

    admin: httpx.Client

    def books(self) -> dict[str, int]:
        """How often each credential came, by its id."""
        taken = self.admin.get(f"{ADMIN}/credentials").raise_for_status().json()
        return {one["credential_id"].removeprefix("urn:credential:"): one["times"] for one in taken}

    def taken(self) -> list[dict[str, Any]]:
        """Every credential that was taken."""
        return list(self.admin.get(f"{ADMIN}/credentials").raise_for_status().json())

    def document(self, name: str) -> Any:
        """A document as it arrived."""
        return self.admin.get(f"{ADMIN}/credentials/{name}").raise_for_status().json()

    def calls(self) -> int:
        """How often it was called."""
        counted = self.admin.get("/_sandbox/calls").raise_for_status().json().get("europass", {})
        return int(counted.get("issue", 0))

    def fails(self, kind: str, times: int | None = 1, **more: Any) -> None:
        """What goes wrong with its next calls."""
        body = {"gateway": "europass", "operation": "issue", "kind": kind, "times": times, **more}
        self.admin.post("/_sandbox/failures", json=body).raise_for_status()

    def is_well(self) -> None:
        """Nothing goes wrong any more."""
        self.admin.delete("/_sandbox/failures").raise_for_status()

    def behaves(self, **manners: Any) -> None:
        """How it answers."""
        self.admin.post(f"{ADMIN}/manners", json=manners).raise_for_status()


def worked(run_id: UUID, *, at_once: bool = True) -> dict[UUID, CredentialExport]:
    """Work the European exports of a run as its flow does. at_once: what waits is due already."""
    with unit_of_work() as session:
        if at_once:
            session.execute(sa.update(CredentialExport).values(next_attempt_at=sa.func.now()))
        ids = credential_export.to_work(session, [run_id], "europass", 100_000)
    if ids:
        exports.step("europass", ids)
    return rows()


def rows() -> dict[UUID, CredentialExport]:
    """Every European export."""
    wanted = sa.select(CredentialExport).where(CredentialExport.target == "europass")
    with unit_of_work() as session:
        return {one.credential_id: one for one in session.scalars(wanted)}

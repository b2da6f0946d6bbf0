"""Credentials in the console: found, suspended, restored, revoked for good, and who did it."""

from uuid import UUID

import httpx
import pytest
from console_browser import Person
from registry import exported, holder, told

from records.credential import Credential
from records.db import unit_of_work

pytestmark = pytest.mark.usefixtures("nobody_tried_before", "database")


def made(*numbers: int) -> list[UUID]:
    """Credentials of some learners, with their badges."""
    new = told([holder(number) for number in numbers])
    assert new.run is not None
    exported(new.run.id)
    return [one.id for one in new.credentials]


def test_one_is_found_by_number_learner_program_or_address_and_no_name_is_shown(
    client: httpx.Client, person: Person
) -> None:
    ids = made(1, 2, 3)
    officer = person("dewi", "credentials:read")
    page = officer.see("/console/credentials")
    assert page.count("<tr>") == 4
    for asked in ("CERT-00002", "learner-2", f"https://x.example/credentials/{ids[1]}"):
        found = officer.see(f"/console/credentials?q={asked}")
        assert "CERT-00002" in found
        assert "CERT-00001" not in found
    assert officer.see("/console/credentials?q=PRG-2026-0017").count("<tr>") == 4
    assert "Nothing fits." in officer.see("/console/credentials?q=nothing&state=revoked")
    assert "Nothing fits." in officer.see(f"/console/credentials?q=CERT-00003&before={ids[2]}")
    one = officer.see(f"/console/credentials/{ids[0]}")
    assert "Siti Aminah" not in page + one
    assert "Open Badge" in one
    assert "badge.png" in one


def test_it_is_suspended_restored_and_revoked_by_a_named_person_and_not_undone(
    client: httpx.Client, person: Person
) -> None:
    (name,) = made(1)
    officer, path = person("dewi", "credentials:write"), f"/console/credentials/{name}"
    assert officer.submit(f"{path}/move", action="suspend").status_code == 422
    assert officer.submit(f"{path}/move", action="suspend", reason="Being looked at").status_code == 303
    assert officer.submit(f"{path}/move", action="restore").status_code == 303
    unsure = officer.submit(f"{path}/move", action="revoke", reason="Issued in error")
    assert unsure.status_code == 422
    assert "say that you mean it" in unsure.text
    assert state_of(name) == "valid"
    done = officer.submit(f"{path}/move", action="revoke", reason="Issued in error", sure="yes")
    assert done.headers["location"] == f"{path}?done=revoke"
    page = officer.see(f"{path}?done=revoke")
    for said in ("Revoked. The page", "Restored", "Being looked at", "Issued in error", "dewi"):
        assert said in page
    assert "Revoke for good" not in page
    again = officer.submit(f"{path}/move", action="restore")
    assert again.status_code == 409
    assert "cannot be undone" in again.text
    history = client.get(f"/api/v1/credentials/{name}").json()["events"]
    assert [one["source"] for one in history] == ["client:dewi"] * 3
    assert state_of(name) == "revoked"


def test_who_may_only_read_changes_nothing_and_finance_sees_no_credentials(
    client: httpx.Client, person: Person
) -> None:
    (name,) = made(1)
    path = f"/console/credentials/{name}"
    reader = person("reader", "credentials:read")
    assert "Suspend" not in reader.see(path)
    assert reader.submit(f"{path}/move", action="suspend", reason="x").status_code == 403
    assert reader.see("/console/exceptions", 403)
    finance = person("rina", "exceptions:read")
    assert "credentials:read" in finance.see(path, 403)
    assert "/console/credentials" not in finance.see("/console")
    forged = person("dewi", "credentials:write").post(
        f"{path}/move", data={"action": "suspend", "reason": "x", "token": "0" * 64}
    )
    assert forged.status_code == 403
    assert state_of(name) == "valid"
    nobody = "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"
    assert person("budi", "credentials:write").see(f"/console/credentials/{nobody}", 404)


def state_of(name: UUID) -> str:
    with unit_of_work() as session:
        return session.get_one(Credential, name).state

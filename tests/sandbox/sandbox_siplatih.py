"""A caller of the sandbox's SIPLatih, and whole bodies of which a test changes one member."""

from copy import deepcopy
from typing import Any
from uuid import uuid4

import httpx

BASE = "/siplatih/api/v1"
CLIENT = {"client_id": "sandbox-siplatih", "client_secret": "sandbox-siplatih-secret"}
GRANT = {"grant_type": "client_credentials", **CLIENT}
SCOPES = "training:read training:write credential:read credential:write"
NIK = "3201010101010001"

_PROGRAM: dict[str, Any] = {
    "program_name": "Advanced Software Development",
    "program_name_en": "Advanced Software Development",
    "lpk_registration_number": "LPK-12345-2023",
    "lpk_name": "LPK Teknologi Indonesia",
    "program_type": "VOCATIONAL",
    "sector": "INFORMATION_TECHNOLOGY",
    "sub_sector": "SOFTWARE_DEVELOPMENT",
    "duration_days": 180,
    "duration_hours": 1440,
    "start_date": "2024-01-15",
    "end_date": "2024-07-15",
    "location": {
        "address": "Jl. Sudirman No. 123",
        "city": "Jakarta",
        "province": "DKI Jakarta",
        "postal_code": "10220",
    },
    "skkni_code": "SKKNI-IT-2023-001",
    "participant_capacity": 50,
    "instructor_qualifications": [
        {"name": "Dr. Siti Aminah", "qualification": "Ph.D. Computer Science", "certification": "CERT-001"}
    ],
    "curriculum": [
        {"module_name": "Microservices", "duration_hours": 240, "learning_outcomes": ["Designs services"]}
    ],
}


def program(**changes: Any) -> dict[str, Any]:
    """A program with a code of its own; `a__b` changes member b of a, None takes a member away."""
    members = {"program_code": f"LPK-{uuid4().hex[:12]}", **deepcopy(_PROGRAM)}
    return changed(members, changes)


def participant(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One who completed; each number another person."""
    members = {
        "nik": f"{NIK[:12]}{number:04d}",
        "full_name": "Budi Santoso",
        "completion_status": "COMPLETED",
        "final_score": 92.5,
        "certificate_number": f"CERT-{uuid4().hex[:12]}",
    }
    return changed(members, changes)


def report(*participants: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A report of these participants, one if none is named."""
    members = {
        "completion_date": "2024-07-15",
        "participants": list(participants) or [participant()],
        "completion_rate": 95.0,
        "certification_rate": 90.0,
    }
    return changed(members, changes)


def credential(**changes: Any) -> dict[str, Any]:
    """A credential to be verified."""
    number = str(uuid4())
    members = {
        "credential_id": number,
        "credential_url": f"https://issuer.example/credentials/{number}",
        "participant_nik": NIK,
        "skkni_code": "SKKNI-IT-2023-001",
        "issuance_date": "2024-07-15T10:30:00Z",
    }
    return changed(members, changes)


def changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The members with some changed."""
    for name, value in changes.items():
        *path, last = name.split("__")
        place = members
        for step in path:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return members


class SiplatihCaller:
    """Calls with a token of its own."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.token = ""

    def ask_token(self, **changes: Any) -> httpx.Response:
        """A token; a member of None is left out."""
        form = {name: value for name, value in {**GRANT, "scope": SCOPES, **changes}.items() if value}
        return self.http.post(f"{BASE}/oauth/token", data=form)

    def headers(self) -> dict[str, str]:
        """The authorisation, with a token that is asked for once."""
        if not self.token:
            self.token = self.ask_token().raise_for_status().json()["access_token"]
        return {"Authorization": f"Bearer {self.token}"}

    def post(self, path: str, members: Any, **more: Any) -> httpx.Response:
        """One call with a JSON body."""
        return self.http.post(BASE + path, json=members, headers=self.headers(), **more)

    def register(self, **changes: Any) -> httpx.Response:
        """Register a program."""
        return self.post("/training-programs", program(**changes))

    def registered(self, **changes: Any) -> str:
        """The number of a new program."""
        number: str = self.register(**changes).raise_for_status().json()["data"]["siplatih_program_id"]
        return number

    def complete(self, number: str, *participants: dict[str, Any], **changes: Any) -> httpx.Response:
        """Report participants of a program."""
        return self.post(f"/training-programs/{number}/completions", report(*participants, **changes))

    def look_up(self, code: str) -> httpx.Response:
        """Ask for a program by its code."""
        path = f"{BASE}/training-programs"
        return self.http.get(path, params={"program_code": code}, headers=self.headers())

    def verify(self, **changes: Any) -> httpx.Response:
        """Have a credential checked."""
        return self.post("/credentials/verify", credential(**changes))

    def behave(self, **manners: Any) -> None:
        """Change how the service behaves."""
        self.http.post("/_sandbox/siplatih/manners", json=manners).raise_for_status()

    def books(self, number: str) -> dict[str, Any]:
        """What the service has on its books about a program."""
        found: dict[str, Any] = (
            self.http.get(f"/_sandbox/siplatih/programs/{number}").raise_for_status().json()
        )
        return found

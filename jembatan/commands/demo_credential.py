"""The demo's learners: their class goes to the ministry's register, their badges are checked by a stranger.

Everything through our API over HTTP, by the flows, against the sandbox's SIPLatih.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from rich.markup import escape

from common import clock
from common.errors import BadInput
from jembatan.commands.output import complain, console
from jembatan.stack import Stack
from records import client as clients
from records.db import unit_of_work

CLIENT = "demo-credentials"
SCOPES = ["siplatih:write", "siplatih:read", "credentials:write", "credentials:read", "processes:read"]
PATIENCE_SECONDS = 90
LPK = "LPK-3171-0042"
_MARKS = {"passed": "✓", "failed": "✗"}
_LEARNERS = (("3171015512980001", "Siti Rahma"), ("3171010203990002", "Budi Santoso"))


class _NotThere(Exception):
    """Something did not come in time, or ended badly; says what."""


def begin(running: Stack) -> str:
    """Have a program registered, which goes on beside the night; its code."""
    code = f"DEMO-{uuid4().hex[:8].upper()}"
    today = clock.business_date(clock.now())
    body = {
        "program_code": code,
        "program_name": "Pengembangan Perangkat Lunak",
        "program_name_en": "Software development",
        "lpk_registration_number": LPK,
        "lpk_name": "LPK Teknologi Indonesia",
        "program_type": "VOCATIONAL",
        "sector": "INFORMATION_TECHNOLOGY",
        "sub_sector": "SOFTWARE_DEVELOPMENT",
        "duration_days": 60,
        "duration_hours": 320,
        "start_date": f"{today - timedelta(days=90)}",
        "end_date": f"{today - timedelta(days=30)}",
        "location": {
            "address": "Jl. Sudirman No. 123",
            "city": "Jakarta",
            "province": "DKI Jakarta",
            "postal_code": "10220",
        },
        "skkni_code": "J.620100.004.02",
        "participant_capacity": 20,
        "instructor_qualifications": [],
        "curriculum": [
            {
                "module_name": "Struktur Data",
                "duration_hours": 320,
                "learning_outcomes": ["Memakai struktur data"],
            }
        ],
    }
    with _api(running) as api:
        api.post("/api/v1/integrations/siplatih/register", json=body).raise_for_status()
    return code


def show(running: Stack, program_code: str) -> bool:
    """Report the class, wait for its badges, check them at `/verify`: one passes, a revoked one does not."""
    console.print()
    try:
        with _api(running) as api:
            return _reported(api, program_code) and _checked(api, program_code)
    except (_NotThere, httpx.HTTPError) as error:
        complain(f"The badges: {error}")
        return False


def _reported(api: httpx.Client, program_code: str) -> bool:
    """Tell the register who has completed; True once it has taken them."""
    _until(lambda: _is_registered(api, program_code), "the program is not registered")
    report = {
        "program_code": program_code,
        "lpk_registration_number": LPK,
        "completion_date": f"{clock.business_date(clock.now()) - timedelta(days=30)}",
        "participants": [
            {
                "nik": nik,
                "full_name": name,
                "completion_status": "COMPLETED",
                "final_score": 92.5,
                "certificate_number": f"{program_code}-{number:03}",
                "learner_id": f"learner-{program_code}-{number}",
            }
            for number, (nik, name) in enumerate(_LEARNERS, 1)
        ],
    }
    told = api.post("/api/v1/integrations/siplatih/report-completion", json=report).raise_for_status().json()
    _until(lambda: _has_ended(api, told["process_id"]), "the register has not taken the class")
    console.print(f"✓ {len(_LEARNERS)} completions of {program_code} reported to SIPLatih (the sandbox's)")
    return True


def _checked(api: httpx.Client, program_code: str) -> bool:
    """Fetch two badges as anybody does and check them over HTTP, the second one after it was revoked."""
    good, ended = sorted(_until(lambda: _exported(api, program_code), "no badge was signed"), key=_number)
    is_right = _is_verified(api, good, "valid")
    why = {"reason": "Issued in error"}
    api.post(f"/api/v1/credentials/{ended['credential_id']}/revoke", json=why).raise_for_status()
    return _is_verified(api, ended, "revoked") and is_right


def _is_verified(api: httpx.Client, credential: dict[str, Any], state: str) -> bool:
    links = next(one["links"] for one in credential["exports"] if one["target"] == "open_badge")
    picture = httpx.get(links["png"], timeout=30).raise_for_status().content
    found = httpx.post(f"{api.base_url}/verify", content=picture, timeout=30).raise_for_status().json()
    checks = "  ".join(f"{_MARKS.get(one['outcome'], '–')} {one['name']}" for one in found["checks"])
    because = f" ({found['reason']})" if found["reason"] else ""
    mark = "✓" if found["state"] == state else "✗"
    console.print(
        f"{mark} the badge of {credential['certificate_number']}, {len(picture):,} bytes of PNG, checked at "
        f"/verify: [bold]{found['state']}[/bold]{escape(because)} · {checks}\n  {links['page']}",
        soft_wrap=True,
    )
    return bool(found["state"] == state)


def _is_registered(api: httpx.Client, program_code: str) -> bool:
    asked = {"program_code": program_code}
    found = api.get("/api/v1/integrations/siplatih/programs", params=asked).raise_for_status().json()
    return any(one["status"] == "registered" for one in found["items"])


def _has_ended(api: httpx.Client, process_id: str) -> bool:
    found = api.get(f"/api/v1/processes/{process_id}").raise_for_status().json()
    if found["state"] in ("failed", "needs_attention"):
        raise _NotThere(found["error"]["message"])
    return bool(found["state"] == "succeeded")


def _exported(api: httpx.Client, program_code: str) -> list[dict[str, Any]] | None:
    """The credentials of the class, once each has its badge."""
    found = api.get("/api/v1/credentials", params={"program_code": program_code}).raise_for_status().json()
    done = [one for one in found["items"] if any(_is_done(export) for export in one["exports"])]
    return done if len(done) == len(_LEARNERS) else None


def _is_done(export: dict[str, Any]) -> bool:
    return bool(export["target"] == "open_badge" and export["state"] == "done")


def _number(credential: dict[str, Any]) -> str:
    return str(credential["certificate_number"])


def _until(come: Callable[[], Any], otherwise: str) -> Any:
    """What it gives once it gives something; raises _NotThere after a while."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := come()):
        if time.monotonic() > until:
            raise _NotThere(f"{otherwise} after {PATIENCE_SECONDS} s; `jembatan process list` says why.")
        time.sleep(0.3)
    return found


def _api(running: Stack) -> httpx.Client:
    """Our API, with a key for an hour of a client of the demo's own."""
    ends = clock.now() + timedelta(hours=1)
    with unit_of_work() as session:
        try:
            key = clients.new_key(session, clients.named(session, CLIENT), ends).text
        except BadInput:
            key = clients.create(session, CLIENT, SCOPES, expires_at=ends)[1].text
    return httpx.Client(base_url=str(running.api_url), headers={"Authorization": f"Bearer {key}"}, timeout=60)

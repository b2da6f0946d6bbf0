"""The ministry's processes on a whole stack with Prefect's worker: every line of the docs, and a death."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import xlsxwriter
from class_room import people
from stack_at_work import Up, a_home, environment_for, processes_of, wait_until

from jembatan.stack.home import Home

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BASE = "/api/v1/integrations/siplatih"
CODE, LPK, DAY = "LPK-2024-001", "LPK-12345-2023", "2024-07-15"
DOCS = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in (
        "siplatih.md",
        "completions.md",
        "personal-data.md",
        "runbooks/register-program.md",
        "runbooks/report-completion.md",
        "runbooks/verify-credential.md",
    )
}
NUMBER = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclass
class Office:
    """A running `jembatan up`, and who types what the docs say."""

    record: dict[str, Any]
    home: Home
    folder: Path
    environment: dict[str, str]
    http: httpx.Client

    def typed(self, line: str, stdin: str = "", status: int = 0, **words: str) -> str:
        """Run a line of a shell in a folder of its own; what it printed."""
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            env=self.environment | words,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == status, f"{line}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def command(self, page: str, line: str, stdin: str = "", status: int = 0, **said: str) -> str:
        """A command as a page has it, with ids in the place of its placeholders."""
        assert line in DOCS[page] or line in " ".join(DOCS[page].split()), line
        for placeholder, value in said.items():
            line = line.replace(placeholder, value)
        return self.typed(line, stdin, status)

    def ended(self, process_id: str) -> dict[str, Any]:
        """The process, once it has ended."""

        def look() -> dict[str, Any] | None:
            now = dict(self.http.get(f"/api/v1/processes/{process_id}").raise_for_status().json())
            return None if now["state"] in ("queued", "running", "waiting") else now

        return wait_until(look, "a process to end", 240) or {}

    def run_ended(self, run: str) -> dict[str, Any]:
        """A flow run, once it has ended."""
        address = f"{self.record['prefect_api_url']}/flow_runs/{json.loads(run)['id']}"
        final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

        def look() -> dict[str, Any] | None:
            state = dict(httpx.get(address).raise_for_status().json()["state"])
            return state if state["type"] in final else None

        return wait_until(look, "a flow run to end", 240) or {}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The stack, a folder with what the docs speak of, and a shell that finds `jembatan`."""
    folder = tmp_path_factory.mktemp("desk")
    with a_home() as home, Up(home, environment_for(home)) as up:
        record = up.start()["stack"]
        words = folder / "bin" / "jembatan"
        words.parent.mkdir()
        words.write_text(
            f"#!/bin/sh\nexec {sys.executable} -c 'from jembatan.cli import main; main()' \"$@\"\n"
        )
        words.chmod(0o755)
        environment = up.environment | {
            "PATH": f"{words.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "API": record["api_url"],
            "PREFECT": record["prefect_api_url"],
            "COLUMNS": "300",
        }
        made = subprocess.run(
            [str(words), "clients", "create", "platform", "--scope", "*", "--json"],
            env=environment,
            check=True,
            capture_output=True,
        )
        environment["KEY"] = json.loads(made.stdout)["api_key"]
        headers = {"Authorization": f"Bearer {environment['KEY']}"}
        with httpx.Client(base_url=record["api_url"], headers=headers, timeout=60) as http:
            yield Office(record, home, folder, environment, http)
        up.stop()


def shell_lines(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", DOCS[page], re.DOTALL)


def test_every_line_of_the_docs_does_what_it_says(office: Office) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", DOCS["siplatih.md"], re.DOTALL)
    (office.folder / "program.json").write_text(example)
    register, start_program, verify, start_check = shell_lines("siplatih.md")
    report, start_report = shell_lines("completions.md")

    asked = json.loads(office.typed(register))
    assert office.ended(asked["process_id"])["state"] == "succeeded"
    state = office.run_ended(office.typed(start_program))
    assert (state["name"], CODE in state["message"]) == ("Skipped", True)
    assert "registered already" in state["message"]

    taken = json.loads(office.typed(report))
    assert office.ended(taken["process_id"])["state"] == "succeeded"
    state = office.run_ended(office.typed(start_report, REPORT_ID=taken["report_id"]))
    assert state["name"] == "Skipped"

    check = json.loads(office.typed(verify))
    assert office.ended(check["process_id"])["state"] == "succeeded"
    shown = office.http.get(f"{BASE}/credential-checks/{check['check']['check_id']}").json()
    assert shown["verified"] is True
    state = office.run_ended(office.typed(start_check, CHECK_ID=check["check"]["check_id"]))
    assert state["name"] == "Skipped"

    commands_of_programs(office, json.loads(example))
    commands_of_classes(office, taken)
    commands_of_persons(office)


def commands_of_programs(office: Office, example: dict[str, Any]) -> None:
    page = "siplatih.md"
    flat = {name: value for name, value in example.items() if name != "location"}
    flat |= {f"location.{name}": value for name, value in example["location"].items()}
    flat |= {name: json.dumps(flat[name]) for name in ("instructor_qualifications", "curriculum")}
    flat["program_code"] = "LPK-2024-002"
    with (office.folder / "programs.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(flat))
        writer.writeheader()
        writer.writerow(flat)
    assert "nothing was asked for" in office.command(
        page, "jembatan programs register programs.csv --dry-run"
    )
    office.command(page, "jembatan programs register programs.csv")
    assert CODE in office.command(page, "jembatan programs list")
    assert "registered" in office.command(page, "jembatan programs show LPK-2024-001")
    runbook = "runbooks/register-program.md"
    for line in (
        "jembatan process list --process register-program",
        "jembatan programs list --status unknown",
        "jembatan programs show LPK-2024-001",
    ):
        office.command(runbook, line)
    office.command("runbooks/verify-credential.md", "jembatan process list --process verify-credential")


def commands_of_classes(office: Office, taken: dict[str, Any]) -> None:
    page, runbook = "completions.md", "runbooks/report-completion.md"
    office.command(page, "jembatan completions template class.xlsx")
    columns = ("nik", "full_name", "completion_status", "final_score", "certificate_number")
    with xlsxwriter.Workbook(office.folder / "class.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, columns)
        for place, one in enumerate(people(3, first=500), 1):
            sheet.write_row(place, 0, [one[name] for name in columns])
    which = "--program LPK-2024-001 --lpk LPK-12345-2023 --date 2024-07-15"
    office.command(page, f"jembatan completions report class.xlsx {which}")
    office.command(page, "jembatan completions list")
    report = taken["report_id"]
    office.command(page, "jembatan completions show REPORT_ID --state rejected", REPORT_ID=report)
    for line in ("jembatan process list --process report-completion", "jembatan completions list"):
        office.command(runbook, line)
    office.command(runbook, "jembatan completions show REPORT_ID --state rejected", REPORT_ID=report)


def commands_of_persons(office: Office) -> None:
    page = "personal-data.md"
    reason = ' --reason "Asked for by the person, DPO-31"'
    office.command(page, f"jembatan export-subject{reason}", stdin="3201010101010001\n")
    office.command(page, "jembatan breach-report --since 2026-11-24T13:00 --persons notice.csv")
    assert "3201010101010001" not in (office.folder / "notice.csv").read_text()
    # Nobody is known by that: a sentence, and 2.
    office.command(page, f"jembatan erase-subject --learner learner-1{reason}", "y\n", status=2)
    office.command(page, "jembatan keys rotate --add")


def test_a_worker_killed_in_the_middle_of_a_report_reports_nobody_twice(office: Office) -> None:
    sandbox = httpx.Client(base_url=office.record["sandbox_url"], timeout=60)
    body = json.loads((office.folder / "program.json").read_text()) | {"program_code": "LPK-2024-003"}
    asked = office.http.post(f"{BASE}/register", json=body).raise_for_status().json()
    assert office.ended(asked["process_id"])["state"] == "succeeded"
    slow = {"gateway": "siplatih", "operation": "complete", "kind": "drip", "times": None, "seconds": 1}
    sandbox.post("/_sandbox/failures", json=slow).raise_for_status()
    report = {"program_code": "LPK-2024-003", "lpk_registration_number": LPK, "completion_date": DAY}
    report["participants"] = people(400, first=2000)
    taken = office.http.post(f"{BASE}/report-completion", json=report).raise_for_status().json()

    def book() -> list[dict[str, Any]]:
        found = sandbox.get("/_sandbox/siplatih/programs/LPK-2024-003").raise_for_status().json()
        return list(found["participants"])

    wait_until(lambda: len(book()) >= 100, "the register to have some of them", 240)
    deadly = [one for one in processes_of(office.home) if is_at_work(one)]
    assert len(deadly) >= 2, "the worker and its flow run"
    for one in deadly:
        one.kill()
    sandbox.delete("/_sandbox/failures").raise_for_status()
    now = office.ended(taken["process_id"]) if not waits(office, taken) else due_at_once(office, taken)
    assert now["state"] == "succeeded", now
    assert now["attempts"] >= 2
    assert now["outcome"]["participants"]["accepted"] == 400
    assert len(book()) == 400
    assert {one["versions"] for one in book()} == {1}
    sandbox.close()


def is_at_work(one: psutil.Process) -> bool:
    """Whether a process is the worker, or a flow run of it, or what those are forked from."""
    try:
        words = " ".join(one.cmdline())
    except psutil.Error:
        return False
    return any(one in words for one in ("worker start", "jembatan.runs", "runs/start.py", "flow-run execute"))


def waits(office: Office, taken: dict[str, Any]) -> bool:
    """Whether it comes to wait for another attempt: whoever was sent is asked about later."""

    def look() -> str | None:
        state = office.http.get(f"/api/v1/processes/{taken['process_id']}").raise_for_status().json()["state"]
        return None if state in ("queued", "running") else str(state)

    return wait_until(look, "the report to be taken up again", 240) == "waiting"


def due_at_once(office: Office, taken: dict[str, Any]) -> dict[str, Any]:
    office.command(
        "runbooks/report-completion.md", "jembatan process retry PROCESS_ID", PROCESS_ID=taken["process_id"]
    )
    return office.ended(taken["process_id"])

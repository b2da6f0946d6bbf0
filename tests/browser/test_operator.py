"""What people see: the form in the Prefect UI, the run that it starts, the statement page it leads to."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from chromium import needs_chromium, picture
from register_desk import PROGRAM
from stack_at_work import Up, a_home, environment_for, wait_until
from test_credential_checks import question
from till import an_invoice, order

from common import clock

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def stack() -> Iterator[dict[str, Any]]:
    """A running `jembatan up` with yesterday's ledger imported; its record, and an API key."""
    with a_home() as home:
        environment = environment_for(home)
        up = Up(home, environment)
        record = up.start()["stack"]
        day = clock.yesterday()
        ledger = httpx.get(f"{record['sandbox_url']}/_sandbox/days/{day}/ledger.csv", timeout=60)
        (home.path / "ledger.csv").write_bytes(ledger.content)

        def jembatan(*words: str) -> bytes:
            command = [sys.executable, "-c", "from jembatan.cli import main; main()", *words]
            return subprocess.run(
                command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE
            ).stdout

        jembatan("payments", "import", str(home.path / "ledger.csv"))

        def key(name: str, *scopes: str) -> str:
            said = [word for scope in scopes for word in ("--scope", scope)]
            made = jembatan("clients", "create", name, *said, "--json")
            return str(json.loads(made)["api_key"])

        yield record | {
            "api_key": key("tests", "processes:read", "payments:write"),
            "ministry_key": key("ministry", "siplatih:write", "processes:read"),
            "finance_key": key("budi", "exceptions:write", "refunds:write", "approvals:write"),
        }
        up.stop()


def test_a_run_started_from_the_form_reaches_its_statement(
    stack: dict[str, Any], page: "Page", tmp_path: Path
) -> None:
    prefect, ui = stack["prefect_api_url"], stack["prefect_api_url"].removesuffix("/api")
    found = httpx.get(f"{prefect}/deployments/name/reconcile-payments/on-demand").json()
    page.goto(f"{ui}/deployments/deployment/{found['id']}/run")
    page.get_by_text("Whose settlement report.").wait_for()
    picture(page, "prefect-form", tmp_path)
    page.get_by_role("button", name="Submit").click()

    def the_run() -> Any:
        asked = {"flow_runs": {"deployment_id": {"any_": [found["id"]]}}}
        runs = httpx.post(f"{prefect}/flow_runs/filter", json=asked).json()
        return next((run for run in runs if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED")), None)

    run = wait_until(the_run, "the run to end", 120)
    message = run["state"]["message"]
    assert run["state"]["type"] == "COMPLETED", message
    assert message.startswith("matched ")
    page.goto(f"{ui}/runs/flow-run/{run['id']}")
    page.get_by_text("Artifacts").first.wait_for()
    page.wait_for_timeout(1500)
    picture(page, "prefect-run", tmp_path)

    signed_in = {"Authorization": f"Bearer {stack['api_key']}"}
    processes = httpx.get(f"{stack['api_url']}/api/v1/processes", headers=signed_in).json()
    process = next(one for one in processes["items"] if one["flow_run_id"] == run["id"])
    assert process["state"] == "succeeded"
    page.goto(process["outcome"]["page"])
    page.get_by_label("Your key").fill(stack["finance_key"])  # whoever opens the link signs in, and is there
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    assert page.url == process["outcome"]["page"]
    assert "balance" in page.inner_text("body").lower()
    assert page.title()
    picture(page, "statement", tmp_path)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "statement-phone", tmp_path)


def test_a_refund_asked_for_in_the_prefect_ui_is_approved_in_the_console(
    stack: dict[str, Any], page: "Page", tmp_path: Path
) -> None:
    prefect, ui = stack["prefect_api_url"], stack["prefect_api_url"].removesuffix("/api")
    signed_in = {"Authorization": f"Bearer {stack['api_key']}"}
    reference = an_invoice()
    body = order(reference=reference, amount=1_500_000)
    made = httpx.post(f"{stack['api_url']}/api/v1/payments/create", json=body, headers=signed_in).json()
    httpx.post(f"{stack['sandbox_url']}/_sandbox/payments/gopay/{made['reference']}/pay").raise_for_status()

    def is_paid() -> bool:
        asked = f"{stack['api_url']}/api/v1/payments/{made['payment_id']}"
        return bool(httpx.get(asked, headers=signed_in).json()["status"] == "paid")

    wait_until(is_paid, "the payment")
    found = httpx.get(f"{prefect}/deployments/name/refund-payment/on-demand").json()
    asked = {
        "payment_id": made["payment_id"],
        "reason": "Course was cancelled",
        "refund_key": "seat-4711-cancelled",
        "requested_by": "rina",
    }
    page.goto(f"{ui}/deployments/deployment/{found['id']}/run?parameters={quote(json.dumps(asked))}")
    page.get_by_text("Which payment, by its id.").wait_for()
    page.wait_for_timeout(1000)
    picture(page, "refund-form", tmp_path)
    page.get_by_role("button", name="Submit").click()

    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{stack['api_url']}/console")
    page.get_by_label("Your key").fill(stack["finance_key"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
    question = page.get_by_role("link", name=f"Give back Rp 1,500,000 of {reference}")

    def is_asked() -> bool:
        page.reload()
        return question.count() == 1

    wait_until(is_asked, "the question", 120)
    question.click()
    page.get_by_role("heading", name="Decide").wait_for()
    assert "rina" in page.inner_text(".figures")
    page.get_by_label("Why").fill("Seen the cancellation of the course")
    picture(page, "refund-approval", tmp_path)
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Approved. What you allowed has begun.").wait_for()
    page.get_by_role("link", name=reference).click()

    def is_back() -> bool:
        page.reload()
        return "given back" in page.inner_text(".card.refund")

    wait_until(is_back, "the refund", 120)
    picture(page, "refund-given-back", tmp_path)


@pytest.mark.slow
def test_the_ministrys_flows_are_started_from_their_forms_by_code_and_id(
    stack: dict[str, Any], page: "Page"
) -> None:
    prefect, ui = stack["prefect_api_url"], stack["prefect_api_url"].removesuffix("/api")
    headers = {"Authorization": f"Bearer {stack['ministry_key']}"}
    nik = "3201010101010001"
    with httpx.Client(base_url=stack["api_url"], headers=headers, timeout=60) as http:

        def handed_in(path: str, body: dict[str, Any]) -> dict[str, Any]:
            made = http.post(f"/api/v1/integrations/siplatih/{path}", json=body).raise_for_status().json()

            def is_done() -> bool:
                return bool(
                    http.get(f"/api/v1/processes/{made['process_id']}").json()["state"] == "succeeded"
                )

            wait_until(is_done, path, 120)
            return dict(made)

        handed_in("register", PROGRAM | {"program_code": "FORM-1"})
        who = {"nik": nik, "full_name": "Siti Rahma", "completion_status": "COMPLETED",
               "certificate_number": "FORM-C-1"}  # fmt: skip
        names = {"program_code": "FORM-1", "lpk_registration_number": PROGRAM["lpk_registration_number"]}
        report = handed_in(
            "report-completion", names | {"completion_date": "2024-07-15", "participants": [who]}
        )
        check = handed_in("verify-credential", question(participant_nik=nik))
    for flow, asked, words, said in (
        ("register-program", {"program_code": "FORM-1"}, "Which program, by its code.", "registered already"),
        (
            "report-completion",
            {"report_id": report["report_id"]},
            "Which report, by its id.",
            "Ended already",
        ),
        (
            "verify-credential",
            {"check_id": check["check"]["check_id"]},
            "Which stored check",
            "Ended already",
        ),
    ):
        found = httpx.get(f"{prefect}/deployments/name/{flow}/on-demand").json()
        wanted = {"flow_runs": {"deployment_id": {"any_": [found["id"]]}}}
        known = {run["id"] for run in httpx.post(f"{prefect}/flow_runs/filter", json=wanted).json()}
        page.goto(f"{ui}/deployments/deployment/{found['id']}/run?parameters={quote(json.dumps(asked))}")
        page.get_by_text(words).wait_for()
        page.wait_for_timeout(1000)
        page.get_by_role("button", name="Submit").click()

        def the_run(wanted: Any = wanted, known: Any = known) -> Any:
            runs = httpx.post(f"{prefect}/flow_runs/filter", json=wanted).json()
            new = [run for run in runs if run["id"] not in known and run["state"]["type"] == "COMPLETED"]
            return new[0] if new else None

        run = wait_until(the_run, f"the run of {flow}", 120)
        assert said in run["state"]["message"]
        assert nik not in json.dumps(run)

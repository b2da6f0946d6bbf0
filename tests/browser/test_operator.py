"""What people see: the form in the Prefect UI, the run that it starts, the statement page it leads to."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chromium import needs_chromium, picture
from stack_at_work import Up, a_home, environment_for, wait_until

from common import clock

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def stack() -> Iterator[dict[str, Any]]:
    """A running `jembatan up` with yesterday's ledger imported; its record, and an API key."""
    with a_home() as home:
        environment = environment_for(home)
        up = Up(home, environment)
        record = up.start()["stack"]
        day = clock.yesterday()
        ledger = httpx.get(f"{record['sandbox_url']}/_sandbox/days/{day}/ledger.csv", timeout=30)
        (home.path / "ledger.csv").write_bytes(ledger.content)

        def jembatan(*words: str) -> bytes:
            command = [sys.executable, "-c", "from jembatan.cli import main; main()", *words]
            return subprocess.run(
                command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE
            ).stdout

        jembatan("payments", "import", str(home.path / "ledger.csv"))
        made = jembatan("clients", "create", "tests", "--scope", "processes:read", "--json")
        yield record | {"api_key": json.loads(made)["api_key"]}
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

    run = wait_until(the_run, "the run to end", 60)
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
    assert "balance" in page.inner_text("body").lower()
    assert page.title()
    picture(page, "statement", tmp_path)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "statement-phone", tmp_path)

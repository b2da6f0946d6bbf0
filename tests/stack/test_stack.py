"""What a command gets of the stack, and what `up` shows while it runs (one `up` for the whole file)."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from stack_at_work import ROOT, UP, Up, a_home, configured, environment_for, is_up, processes_of

from common.settings import settings
from deployments.names import RECONCILE_NIGHTLY, RECONCILE_ON_DEMAND, WORK_POOL
from jembatan.stack import stack
from jembatan.stack.addresses import Ports
from jembatan.stack.home import Home
from jembatan.stack.parts import PREFECT_FILE

DEAD = "http://127.0.0.1:9/api"
RUN_A_FLOW = """
from jembatan.stack import stack
with stack(prefect=True) as there:
    from prefect import flow
    from prefect.runtime import flow_run
    @flow
    def in_process():
        return flow_run.get_id()
    print(there.prefect_api_url, in_process())
"""


def tree(folder: Path) -> dict[str, bytes]:
    """Every file and what is in it."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    """An `up` of a user who has a Prefect set-up of their own, and whose API port is in use."""
    with a_home() as home:
        person = home.path.with_name("person")
        (person / ".prefect").mkdir(parents=True)
        theirs = f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{DEAD}"\nPREFECT_API_KEY = "theirs"\n'
        (person / ".prefect" / "profiles.toml").write_text(theirs)
        environment = environment_for(
            home,
            HOME=str(person),
            PREFECT_PROFILES_PATH=str(person / ".prefect" / "profiles.toml"),
            PREFECT_HOME=str(person / ".prefect"),
            PREFECT_API_URL=DEAD,
            PREFECT_API_DATABASE_CONNECTION_URL="sqlite+aiosqlite:////nowhere/theirs.db",
            PREFECT_SERVER_API_PORT="1",
        )
        before = tree(person)
        with Up(home, environment) as up:
            with socket.create_server(("127.0.0.1", int(environment["JEMBATAN_API_PORT"]))):
                up.start()
                yield up
            assert up.stop() == 0
        assert not processes_of(home)
        assert not home.record.exists()
        assert tree(person) == before


@pytest.fixture
def beside(running: Up) -> Iterator[Home]:
    """This process, configured as another command on the same home."""
    with configured(running.environment):
        yield running.home


def there(running: Up) -> dict[str, str]:
    """Where its parts answer."""
    assert running.record
    found: dict[str, str] = running.record["stack"]
    return found


def get(running: Up, path: str) -> Any:
    """An answer of its Prefect server."""
    return httpx.get(there(running)["prefect_api_url"] + path).raise_for_status().json()


def test_a_fresh_home_is_up_with_all_its_parts(running: Up) -> None:
    assert is_up(there(running)["api_url"] + "/healthz")
    assert is_up(there(running)["sandbox_url"] + "/healthz")
    assert is_up(there(running)["prefect_api_url"].removesuffix("/api") + "/")


def test_it_says_where_everything_is(running: Up) -> None:
    said = running.said.replace("\n", "")
    for url in ("api_url", "sandbox_url"):
        assert there(running)[url] in said
    assert str(running.home.path) in said
    assert "Ctrl-C" in said


def test_a_port_in_use_gives_way_to_the_next_free_one_and_it_is_said(running: Up) -> None:
    wanted = running.environment["JEMBATAN_API_PORT"]
    assert there(running)["api_url"] != f"http://127.0.0.1:{wanted}"
    assert f"Port {wanted} is in use" in running.said


def test_a_second_up_says_who_runs(running: Up) -> None:
    second = subprocess.run(
        [sys.executable, "-c", UP],
        env=running.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert running.process
    assert f"process {running.process.pid}, since" in second.stdout.replace("\n", " ")
    assert there(running)["api_url"] in second.stdout
    assert is_up(there(running)["api_url"] + "/healthz")


def test_what_is_registered_is_what_prefect_yaml_says(running: Up) -> None:
    nightly = get(running, f"/deployments/name/{RECONCILE_NIGHTLY}")
    assert {one["slug"]: one["parameters"]["gateway"] for one in nightly["schedules"]} == {
        gateway: gateway for gateway in ("gopay", "ovo", "linkaja")
    }
    for one in nightly["schedules"]:
        assert one["active"]
        assert one["parameters"]["skip_if_done"] is True
        assert (one["schedule"]["cron"], one["schedule"]["timezone"]) == ("0 2 * * *", "Asia/Jakarta")
    by_hand = get(running, f"/deployments/name/{RECONCILE_ON_DEMAND}")
    assert by_hand["schedules"] == []
    for deployment in (nightly, by_hand):
        assert deployment["work_pool_name"] == WORK_POOL
        assert {"gateway", "business_date"} <= set(deployment["parameter_openapi_schema"]["properties"])
        assert str(ROOT) not in str(deployment)


@pytest.mark.slow
def test_registering_again_leaves_paused_paused_and_what_people_added(running: Up) -> None:
    def nightly() -> dict[str, Any]:
        found: dict[str, Any] = get(running, f"/deployments/name/{RECONCILE_NIGHTLY}")
        return found

    api = there(running)["prefect_api_url"]
    before = nightly()
    ovo = next(one for one in before["schedules"] if one["slug"] == "ovo")
    httpx.patch(
        f"{api}/deployments/{before['id']}/schedules/{ovo['id']}", json={"active": False}
    ).raise_for_status()
    added = {"schedule": {"cron": "0 5 * * 1", "timezone": "Asia/Jakarta"}, "active": True}
    httpx.post(f"{api}/deployments/{before['id']}/schedules", json=[added]).raise_for_status()

    subprocess.run(
        [sys.executable, "-m", "jembatan.stack.register", str(PREFECT_FILE)],
        env={**running.environment, "PREFECT_API_URL": api, "PREFECT_HOME": str(running.home.prefect)}
        | {"PREFECT_PROFILES_PATH": str(running.home.prefect / "profiles.toml")},
        check=True,
        capture_output=True,
    )

    after = nightly()
    assert {one["slug"]: one["active"] for one in after["schedules"] if one["id"] == ovo["id"]} == {
        "ovo": False
    }
    assert len(after["schedules"]) == 4
    assert sorted(one["schedule"]["cron"] for one in after["schedules"])[-1] == "0 5 * * 1"
    assert after["id"] == before["id"]


def test_a_command_uses_what_up_offers_and_starts_nothing(running: Up, beside: Home) -> None:
    before = {process.pid for process in processes_of(beside)}
    with stack(prefect=True, sandbox=True, api=True) as mine:
        assert mine.prefect_api_url == there(running)["prefect_api_url"] == os.environ["PREFECT_API_URL"]
        assert mine.sandbox_url == there(running)["sandbox_url"] == settings().sandbox_url
        assert mine.api_url == there(running)["api_url"]
        assert {process.pid for process in processes_of(beside) if process.name() != "postgres"} <= before
    assert "PREFECT_API_URL" not in os.environ
    assert settings().database_url is None
    assert is_up(there(running)["api_url"] + "/healthz")


@pytest.mark.slow
def test_a_flow_in_this_process_is_recorded_by_the_server(running: Up) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_A_FLOW],
        env=running.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    url, run = done.stdout.split()
    assert httpx.get(f"{url}/flow_runs/{run}").json()["state_type"] == "COMPLETED"


@pytest.mark.slow
def test_the_database_alone_is_enough_for_a_command_that_needs_no_more(home: Home) -> None:
    with stack() as mine:
        assert mine.prefect_api_url is None
        with psycopg.connect(mine.database_url) as connection:
            assert connection.execute("SELECT to_regclass('alembic_version')").fetchone() != (None,)
        assert {process.name() for process in processes_of(home)} == {"postgres"}
    assert not processes_of(home)


def test_a_port_is_given_to_one_stack_only_and_never_one_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = busy.getsockname()[1]
        ours, theirs = Ports(), Ports()
        first = ours.claim(taken)
        assert taken < first < theirs.claim(taken)
        ours.release()
        assert theirs.claim(taken) == first
        theirs.release()

"""A kill of any part leaves a home that repairs itself."""

import signal
import subprocess
import sys

import httpx
import psutil
import pytest
from stack_at_work import ROOT, Up, a_home, environment_for, is_up, kill_all, processes_of, wait_until

from jembatan.stack import locks
from jembatan.stack.home import Home

pytestmark = pytest.mark.slow

TEMPORARY = """
import sys
from jembatan.stack import stack
with stack(worker=True, sandbox=True) as there:
    print(there.prefect_api_url, there.sandbox_url, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("part", ["postgres", "prefect", "worker", "api", "sandbox"])
def test_a_part_that_is_killed_is_started_again(up: Up, part: str) -> None:
    record = up.start()
    before = record["children"][part]
    psutil.Process(before).kill()

    def successor() -> int:
        now = up.record
        pid: int = now["children"][part] if now else 0
        return pid if pid != before else 0

    assert psutil.pid_exists(wait_until(successor, "restart"))
    assert "has died" in up.said
    api = record["stack"]["prefect_api_url"]
    wait_until(lambda: is_up(f"{api}/health"), "Prefect server")
    wait_until(lambda: is_up(f"{api}/deployments/name/reconcile-payments/nightly"), "Prefect's database")
    wait_until(lambda: is_up(record["stack"]["api_url"] + "/healthz"), "API")
    wait_until(lambda: is_up(record["stack"]["sandbox_url"] + "/healthz"), "sandbox")
    run_a_flow(api)
    assert up.stop() == 0
    assert not processes_of(up.home)


def ask_for_a_run(api: str) -> str:
    """A run of the on-demand deployment; gives back where its state is."""
    deployment = httpx.get(f"{api}/deployments/name/reconcile-payments/on-demand").json()
    asked = httpx.post(
        f"{api}/deployments/{deployment['id']}/create_flow_run", json={"parameters": {"gateway": "gopay"}}
    )
    return f"{api}/flow_runs/{asked.raise_for_status().json()['id']}"


def run_a_flow(api: str) -> None:
    """The whole chain: server, database, worker."""
    url = ask_for_a_run(api)
    ends = ("COMPLETED", "FAILED", "CRASHED")
    wait_until(lambda: httpx.get(url, timeout=60).json()["state_type"] in ends, "a flow run")


def test_a_killed_up_takes_its_parts_with_it_and_the_next_one_starts(up: Up) -> None:
    first = up.start()
    assert up.process
    assert up.stop(signal.SIGKILL) == -signal.SIGKILL
    second = up.start()
    assert second["pid"] != first["pid"]
    assert second["stack"] == first["stack"]
    assert is_up(second["stack"]["api_url"] + "/healthz")
    gone = [pid for name, pid in first["children"].items() if name != "postgres"]
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in gone), "end of the old parts")
    assert up.stop(signal.SIGTERM) == 0
    assert not processes_of(up.home)
    assert not up.home.record.exists()


def test_everything_killed_at_once_is_repaired(up: Up) -> None:
    up.start()
    assert up.process
    up.process.send_signal(signal.SIGSTOP)  # so that it mends nothing meanwhile
    kill_all(processes_of(up.home))
    up.process.kill()
    up.process.wait()
    record = up.start()
    run_a_flow(record["stack"]["prefect_api_url"])
    assert up.stop() == 0
    assert not processes_of(up.home)


def test_parts_of_a_dead_up_that_live_on_are_ended_first(up: Up) -> None:
    record = up.start()
    orphan = psutil.Process(record["children"]["sandbox"])
    orphan.suspend()  # deaf to everything but SIGKILL, also to the death of its parent
    assert up.process
    up.process.kill()
    up.process.wait()
    assert orphan.is_running()
    up.start()
    assert not orphan.is_running()
    assert "Ended" in up.said
    assert up.stop() == 0


def test_two_homes_start_at_the_same_time_and_want_the_same_ports(up: Up) -> None:
    wanted = {key: value for key, value in up.environment.items() if key.endswith("_PORT")}
    with a_home() as other, Up(other, environment_for(other, **wanted)) as twin:
        up.process, twin.process = up.launch(), twin.launch()
        for one in (up, twin):
            wait_until(lambda one=one: one.record or one.ended, "both")  # type: ignore[misc]
            assert one.record, one.said
        assert up.record
        assert twin.record
        for part in ("api_url", "prefect_api_url", "sandbox_url"):
            assert up.record["stack"][part] != twin.record["stack"][part]
        for one in (up, twin):
            assert one.stop() == 0
            assert not processes_of(one.home)


def test_a_command_without_up_has_a_stack_of_its_own_for_a_while(home: Home) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", TEMPORARY],
        env=environment_for(home),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert command.stdout
    api, sandbox = command.stdout.readline().split()
    assert is_up(sandbox + "/healthz")
    run_a_flow(api)
    command.communicate()
    assert command.returncode == 0
    assert not processes_of(home)


def test_a_run_that_was_cut_off_does_not_run_for_ever(up: Up) -> None:
    record = up.start()
    api = record["stack"]["prefect_api_url"]
    url = ask_for_a_run(api)

    def run() -> psutil.Process | None:
        mine = processes_of(up.home)
        return next((one for one in mine if "runs/start.py" in " ".join(one.cmdline())), None)

    started = wait_until(run, "start of a run")
    assert started
    psutil.Process(record["children"]["worker"]).suspend()  # so that it does not report
    started.kill()
    assert httpx.get(url).json()["state_type"] in ("PENDING", "RUNNING")
    assert up.stop() == 0
    up.start()
    after = httpx.get(url).json()
    assert after["state_type"] == "CRASHED"
    assert "Cut off" in after["state"]["message"]
    assert up.stop() == 0


def test_up_waits_for_a_command_that_has_the_homes_worker(up: Up) -> None:
    up.home.prepare()
    with locks.alone(up.home.lock("worker")):
        up.process = up.launch()
        wait_until(lambda: "Another command on this home runs flows" in up.said, "the word")
        assert up.record is None
    wait_until(lambda: up.record, "up")
    assert up.stop() == 0

"""Flow runs from the nursery: to Prefect's worker each is the process that it has started.

The runs here are Prefect's own engine, which asks a server that never answers, so that they go on until they
are told otherwise.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from stack_at_work import wait_until

from jembatan.runs import start

ROOT = Path(__file__).parents[2]
NURSERY = [sys.executable, "-m", "jembatan.runs.nursery"]
RUN = [sys.executable, "-I", "-S", start.__file__]


@dataclass
class Ward:
    """A nursery, and the server that its runs ask."""

    nursery: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    server: socket.socket
    folder: Path

    def begin(self, **environment: str) -> "subprocess.Popen[bytes]":
        """What the worker starts, in a folder of its own."""
        return subprocess.Popen(
            RUN,
            env=self.environment | {"PREFECT__FLOW_RUN_ID": str(uuid4())} | environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def at_work(self) -> tuple["subprocess.Popen[bytes]", psutil.Process]:
        """A run that has asked the server something, and its process, the keeper's child."""
        begun = self.begin()
        connection, _ = self.server.accept()  # the run is there, and waits for an answer
        run = wait_until(self._run, "the run's process")
        self._open = connection
        return begun, run

    def _run(self) -> psutil.Process | None:
        grown = psutil.Process(self.nursery.pid).children(recursive=True)
        return next((one for one in grown if one.ppid() != self.nursery.pid), None)


@pytest.fixture(scope="module")
def ward() -> Iterator[Ward]:
    with socket.socket() as server, tempfile.TemporaryDirectory() as home:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        server.settimeout(60)
        address = Path(tempfile.mkdtemp()) / "nursery"
        environment = os.environ | {
            "PREFECT_API_URL": f"http://127.0.0.1:{server.getsockname()[1]}/api",
            "PREFECT_HOME": home,
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PYTHONPATH": str(ROOT),
        }
        nursery = subprocess.Popen([*NURSERY, str(address)], stdin=subprocess.PIPE, env=environment)
        wait_until(address.exists, "the nursery's door")
        folder = Path(home) / "somewhere"
        folder.mkdir()
        try:
            yield Ward(nursery, environment | {start.ADDRESS: str(address)}, server, folder)
        finally:
            nursery.kill()
            nursery.wait()
            shutil.rmtree(address.parent)


def test_a_nursery_ends_with_its_worker_and_leaves_nothing(ward: Ward) -> None:
    folder = Path(tempfile.mkdtemp())
    command = [*NURSERY, str(folder / "nursery")]
    nursery = subprocess.Popen(command, stdin=subprocess.PIPE, env=ward.environment)
    wait_until((folder / "nursery").exists, "its door")
    assert nursery.stdin is not None
    nursery.stdin.close()  # as the kernel does when the worker is killed
    assert nursery.wait(30) == 0
    assert not folder.exists()


def test_a_run_has_the_environment_folder_and_output_of_what_the_worker_started(ward: Ward) -> None:
    begun, run = ward.at_work()
    assert Path(run.cwd()) == ward.folder
    begun.kill()
    begun.wait(30)
    ended = ward.begin(PREFECT__FLOW_RUN_ID="no id")  # seen only in the environment of this one
    said, _ = ended.communicate(timeout=60)
    assert ended.returncode == 1
    assert b"Invalid flow run id" in said


def test_a_run_that_is_asked_to_end_ends_by_that_signal(ward: Ward) -> None:
    begun, run = ward.at_work()
    begun.send_signal(signal.SIGTERM)
    assert begun.wait(30) == -signal.SIGTERM
    assert not run.is_running()


def test_who_kills_what_the_worker_started_kills_the_run(ward: Ward) -> None:
    begun, run = ward.at_work()
    begun.kill()
    psutil.wait_procs([run], timeout=30)
    assert not run.is_running()


@pytest.mark.parametrize("whom", ["run", "keeper"])
def test_a_run_that_is_killed_or_loses_its_keeper_is_seen_to_be_killed(ward: Ward, whom: str) -> None:
    begun, run = ward.at_work()
    (run if whom == "run" else psutil.Process(run.ppid())).kill()
    assert begun.wait(30) == -signal.SIGKILL
    psutil.wait_procs([run], timeout=30)
    assert not run.is_running()


def test_without_a_nursery_a_run_loads_everything_itself(ward: Ward) -> None:
    begun = ward.begin(**{start.ADDRESS: str(ward.folder / "nobody"), "PREFECT__FLOW_RUN_ID": "no id"})
    said, _ = begun.communicate(timeout=120)
    assert begun.returncode == 1
    assert b"loads everything itself" in said
    assert b"Invalid flow run id" in said


def test_a_run_outlives_a_nursery_that_had_no_thread_and_no_connection(ward: Ward) -> None:
    begun, run = ward.at_work()
    nursery = psutil.Process(ward.nursery.pid)
    wait_until(lambda: _is_idle(nursery), "every flow to be loaded")
    assert nursery.num_threads() == 1
    assert nursery.net_connections() == [one for one in nursery.net_connections() if one.status == "NONE"]
    nursery.kill()
    ward.nursery.wait(30)
    assert run.is_running()
    begun.send_signal(signal.SIGTERM)
    assert begun.wait(30) == -signal.SIGTERM


def _is_idle(process: psutil.Process) -> bool:
    before = process.cpu_times()
    time.sleep(0.3)
    return process.cpu_times() == before

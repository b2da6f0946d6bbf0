"""`python -m benchmarks.siplatih`: measure, print, and exit 1 only when an answer was wrong."""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from api.program_models import PROGRAM_EXAMPLE
from benchmarks import machine
from benchmarks.payments.stage import WrongAnswer, check, wait_until
from common.settings import secret_text, settings
from jembatan.stack import Stack, database, stack
from records import client as clients
from records.db import connection, unit_of_work

ALONE, ALONE_SECONDS = 5, 4.0
PROGRAMS, PACED = 10_000, 500
PACE = 50.0  # calls a second that the sandbox lets through in the paced part
OWN_MS = 5.0
LOOK = 0.25  # seconds between two looks at how many are registered
REGISTER = "/api/v1/integrations/siplatih/register"
RUNS, PREFECT = "flow runs", "prefect"
PARTS = ("alone", "paced", "many")
LIBRARIES = ("prefect", "psycopg", "httpx", "sqlalchemy", "uvicorn")
_MARK = "JEMBATAN_STACK"  # in the environment of every process of a stack


@dataclass(frozen=True)
class Went:
    """How a file of programs went through. asked: until it was taken on; of_asking: the processor's seconds
    for that; seconds: from then until the last was registered; processor: seconds of each part, the sandbox
    left out; refused: 429 of the sandbox."""

    asked: float
    of_asking: float
    seconds: float
    processor: dict[str, float]
    flow_runs: int
    refused: int


def main() -> int:
    """Everything in a temporary folder; nothing is left."""
    options = _options()
    for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
        del os.environ[name]  # a set-up of the user's must neither be used nor changed
    with tempfile.TemporaryDirectory(prefix="jembatan-bench-") as name:
        folder = Path(name)
        os.environ["PREFECT_HOME"] = str(folder / "prefect")
        with database(folder / "machine") as url:
            machine_is = machine.describe(url, LIBRARIES)
        try:
            if "alone" in options.parts:
                _alone(folder / "alone")
            if "paced" in options.parts:
                _paced(folder / "paced")
            if "many" in options.parts:
                _many(folder / "many", options.programs)
        except WrongAnswer as wrong:
            print(f"Wrong answer: {wrong}")
            return 1
    print(" · ".join(f"{name} {value}" for name, value in machine_is.items()))
    return 0


def _alone(folder: Path) -> None:
    """Programs one at a time, each a flow run of its own, at the default pace."""
    with _stack(folder) as running, _api(running) as api, _sandbox(running) as sandbox:
        times = []
        for number in range(ALONE + 1):
            begun = time.monotonic()
            answer = api.post(REGISTER, json=_program(f"ALONE-{number}"))
            check(answer.status_code == 202, answer.text[:300])
            address = answer.json()["status_url"]
            wait_until(partial(_has_ended, api, address), "a program to be registered")
            times.append(time.monotonic() - begun)
        _books_are(sandbox, [f"ALONE-{number}" for number in range(ALONE + 1)])
    measured = times[1:]  # the first also loads what the worker has never needed
    verdict = "met" if max(measured) <= ALONE_SECONDS else "NOT met"
    shown = ", ".join(f"{one:.1f}" for one in measured)
    print(
        f"one program, from the API call until it is registered, {ALONE} times: {shown} s, median "
        f"{statistics.median(measured):.1f} s ({ALONE_SECONDS:.0f} s: {verdict}; the very first "
        f"{times[0]:.1f} s)",
        flush=True,
    )


def _paced(folder: Path) -> None:
    """A file at the rate that the sandbox allows: it refuses each call above it."""
    with _stack(folder, rate=PACE) as running, _sandbox(running) as sandbox:
        manners = {"rate": PACE * 1.05, "burst": 10}
        sandbox.post("/_sandbox/siplatih/manners", json=manners).raise_for_status()
        went = _went(folder, sandbox, [_program(f"PACED-{number:05d}") for number in range(PACED)])
    print(
        f"{PACED:,} programs at a register that takes {PACE:.0f} calls a second: {went.seconds:.1f} s in "
        f"{went.flow_runs} flow runs ({PACED / PACE:.0f} s at that rate), {went.refused} calls refused",
        flush=True,
    )


def _many(folder: Path, count: int) -> None:
    """A file without a pace in the way; what it takes beyond the bare calls is ours."""
    with _stack(folder, rate=100_000) as running, _sandbox(running) as sandbox:
        _bare(running, [_program(f"SAMPLE-{number}") for number in range(100)])
        _books_are(sandbox, [f"SAMPLE-{number}" for number in range(100)])
        sandbox.delete("/_sandbox/siplatih").raise_for_status()
        bare, bare_processor = _bare(running, [_program(f"BARE-{number:05d}") for number in range(count)])
        sandbox.delete("/_sandbox/siplatih").raise_for_status()
        went = _went(folder, sandbox, [_program(f"MANY-{number:05d}") for number in range(count)])
    each = 1000 / count
    print(
        f"{count:,} programs of one file: asked for in {went.asked:.1f} s ({went.of_asking * each:.1f} ms of "
        f"processor each), all registered after {went.seconds:.1f} s in {went.flow_runs} flow runs; a bare "
        f"client makes the same calls in {bare:.1f} s"
    )
    wall = (went.seconds - bare) * each
    own = sum(used for part, used in went.processor.items() if not part.startswith(PREFECT)) - bare_processor
    parts = ", ".join(f"{part} {used * each:.2f}" for part, used in sorted(went.processor.items()))
    verdict = "met" if own * each <= OWN_MS else "NOT met"
    print(
        f"  our own, each: {wall:.1f} ms of time beyond the bare call; {own * each:.1f} ms of processor "
        f"beyond the bare client's {bare_processor * each:.1f} ms ({OWN_MS:.0f} ms: {verdict}). Processor of "
        f"each part: {parts} ms; what is {PREFECT}'s is not our own",
        flush=True,
    )


def _went(folder: Path, sandbox: httpx.Client, programs: list[dict[str, Any]]) -> Went:
    """Have a file registered by the command line, and wait until Prefect's worker is through with it."""
    file = folder / "programs.json"
    file.write_text(json.dumps(programs), encoding="utf-8")
    words = [str(Path(sys.executable).with_name("jembatan")), "programs", "register", str(file), "--json"]
    begun = time.monotonic()
    before, of_commands = _processor(), _of_children()
    subprocess.run([*words, "--by", "bench"], check=True, stdout=subprocess.DEVNULL)
    asked = time.monotonic()
    taken_on = _processor()
    of_asking = _of_children() - of_commands + taken_on["PostgreSQL"] - before["PostgreSQL"]
    count = len(programs)
    with connection() as watching:  # one, and seldom: to look at it all the time is no part of what it takes
        while _registered(watching) < count:
            check(time.monotonic() < asked + 3_600, "not all programs are registered after an hour")
            time.sleep(LOOK)
    ended = time.monotonic()
    now = _processor()
    spent = {part: now[part] - taken_on.get(part, 0.0) for part in now}
    check(min(spent.values()) >= 0 and now.keys() >= taken_on.keys(), "a part was started anew meanwhile")
    _books_are(sandbox, [one["program_code"] for one in programs])
    with connection() as db:
        (runs,) = db.execute(
            "SELECT count(DISTINCT flow_run_id) FROM process_runs WHERE process = 'register-program'"
        ).fetchone() or (0,)
        (differ,) = db.execute(
            "SELECT count(*) FROM training_programs WHERE siplatih_program_id IS NULL"
        ).fetchone() or (0,)
    check(differ == 0, f"{differ} programs have no number")
    calls = sandbox.get("/_sandbox/siplatih/calls").raise_for_status().json()
    refused = sum(one["status"] == 429 for one in calls)
    sent = sum(one["operation"] == "register" and one["status"] != 429 for one in calls)
    check(sent == count, f"{sent} calls for {count} programs")
    return Went(asked - begun, of_asking, ended - asked, spent, runs, refused)


def _of_children() -> float:
    """Processor seconds of commands that this process has run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _bare(running: Stack, programs: list[dict[str, Any]]) -> tuple[float, float]:
    """Seconds and processor seconds of a plain httpx client that makes the same calls."""
    config = settings().siplatih
    form = {
        "grant_type": "client_credentials",
        "client_id": config.client_id,
        "client_secret": secret_text(config.client_secret),
        "scope": config.scope,
    }
    with httpx.Client(timeout=30) as http:
        begun, spent = time.monotonic(), time.process_time()
        token = http.post(config.token_url, data=form).raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        for one in programs:
            answer = http.post(f"{config.base_url}/training-programs", json=one, headers=headers)
            told = answer.raise_for_status().json()["data"]
            check(told["program_code"] == one["program_code"], "the bare client got another program")
        return time.monotonic() - begun, time.process_time() - spent


def _books_are(sandbox: httpx.Client, codes: list[str]) -> None:
    """The register has exactly these, in this order, each once."""
    books = sandbox.get("/_sandbox/siplatih/programs").raise_for_status().json()
    check([one["program_code"] for one in books] == codes, f"{len(books)} are on its books, not in order")
    check(all(one["versions"] == 1 for one in books), "one was registered twice")


def _registered(watching: psycopg.Connection) -> int:
    row = watching.execute(
        "SELECT count(*) FROM process_runs WHERE process = 'register-program' AND state = 'succeeded'"
    ).fetchone()
    watching.commit()
    return int(row[0]) if row else 0


def _has_ended(api: httpx.Client, address: str) -> bool:
    state = api.get(address).raise_for_status().json()["state"]
    check(state in ("queued", "running", "succeeded"), f"its process is {state}")
    return bool(state == "succeeded")


def _processor() -> dict[str, float]:
    """Processor seconds so far by part of this stack, the sandbox left out. What has ended is in its
    parent's: a run in the nursery's, a session of the database in the server's."""
    home, spent = str(settings().home), defaultdict[str, float](float)
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            is_ours = _MARK in environment and environment.get("JEMBATAN_HOME") == home
            is_database = process.name().startswith("postgres") and process.cwd().startswith(home)
            part = _part(" ".join(process.cmdline()), is_database=is_database)
            if (is_ours or is_database) and part:
                times = process.cpu_times()
                spent[part] += times.user + times.system + times.children_user + times.children_system
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return spent


def _part(command: str, *, is_database: bool) -> str | None:
    """Which part a process is of, by its command line; that of a session of PostgreSQL names its database."""
    if is_database:
        return f"{PREFECT}'s database" if f" {PREFECT} " in command else "PostgreSQL"
    for mark, part in (
        ("runs.nursery", RUNS),
        ("runs/start.py", RUNS),
        ("api.app", "API"),
        ("sandbox", None),
    ):
        if mark in command:
            return part
    return f"{PREFECT}'s server" if "server start" in command else "worker"


def _stack(folder: Path, rate: float | None = None) -> Any:
    """The whole stack, with a home of its own."""
    folder.mkdir()
    os.environ["JEMBATAN_HOME"] = str(folder / "home")
    for name, port in (("API", "8472"), ("SANDBOX", "8482"), ("PREFECT", "8492")):
        os.environ[f"JEMBATAN_{name}_PORT"] = port
    os.environ["JEMBATAN_CATCH_UP_DAYS"] = "0"
    os.environ.pop("JEMBATAN_SIPLATIH__RATE", None)
    if rate is not None:
        os.environ["JEMBATAN_SIPLATIH__RATE"] = str(rate)
    settings.cache_clear()
    return stack(prefect=True, worker=True, sandbox=True, api=True)


def _api(running: Stack) -> httpx.Client:
    with unit_of_work() as session:
        _, key = clients.create(session, "benchmark", ["*"], rate_per_minute=1_000_000)
    headers = {"Authorization": f"Bearer {key.text}"}
    return httpx.Client(base_url=running.api_url or "", headers=headers, timeout=60)


def _sandbox(running: Stack) -> httpx.Client:
    return httpx.Client(base_url=running.sandbox_url or "", timeout=60)


def _program(code: str) -> dict[str, Any]:
    return {**PROGRAM_EXAMPLE, "program_code": code}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.siplatih", description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--programs", type=int, default=PROGRAMS, help="how many in the large file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

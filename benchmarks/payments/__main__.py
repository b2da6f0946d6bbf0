"""`python -m benchmarks.payments`: measure, print, and exit 1 only when an answer was wrong."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from benchmarks import machine
from benchmarks.payments import create, intake, report, sweep
from benchmarks.payments.stage import WrongAnswer
from jembatan.stack import database

WHAT = ("create", "intake", "sweep")
LIBRARIES = ("starlette", "fastapi", "uvicorn", "uvloop", "httptools", "psycopg", "httpx")


def main() -> int:
    """Everything in a temporary folder; nothing is left."""
    options = _options()
    for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
        del os.environ[name]  # a set-up of the user's must neither be used nor changed
    console = Console(width=None if sys.stdout.isatty() else 140)
    with tempfile.TemporaryDirectory(prefix="jembatan-bench-") as name:
        folder = Path(name)
        os.environ["PREFECT_HOME"] = str(folder / "prefect")
        try:
            with database(folder / "machine") as url:
                machine_is = machine.describe(url, LIBRARIES)
            verdicts: list[report.Verdict] = []
            for what in (options.only,) if options.only else WHAT:
                verdicts += _measured(what, folder, options.rounds, console)
        except WrongAnswer as wrong:
            console.print(f"Wrong answer: {wrong}")
            return 1
    console.print(escape(" · ".join(f"{name} {value}" for name, value in machine_is.items())))
    report.print_verdicts(console, verdicts)
    return 0


def _measured(what: str, folder: Path, rounds: int, console: Console) -> Iterable[report.Verdict]:
    """Measure one thing, print its table, and give back what its targets say."""
    Console(stderr=True).print(f"{what} …")
    if what == "create":
        made = create.measure(folder / what, rounds)
        console.print(report.created(made))
        return report.created_verdicts(made)
    if what == "intake":
        taken = intake.measure(folder / what, rounds)
        console.print(report.taken_in(taken))
        return report.taken_in_verdicts(taken)
    swept = sweep.measure(folder / what, rounds)
    console.print(report.swept(swept))
    return report.swept_verdicts(swept)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.payments", description=__doc__)
    parser.add_argument("--only", choices=WHAT, help="one measurement instead of all")
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

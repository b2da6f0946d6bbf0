"""`python -m benchmarks.reconcile`: measure, print, and exit 1 only when an answer was wrong."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.reconcile import flow, report
from benchmarks.reconcile.contenders import CONTENDERS
from benchmarks.reconcile.measure import WrongAnswer, measure
from jembatan.stack import database


def main() -> int:
    """Everything in a temporary folder, with a PostgreSQL of its own; nothing is left."""
    options = _options()
    for name in [name for name in os.environ if name.startswith(("JEMBATAN_", "PREFECT_"))]:
        del os.environ[name]  # a set-up of the user's must neither be used nor changed
    console = Console()
    progress = Console(stderr=True)
    results = []
    flow_seconds = None
    with tempfile.TemporaryDirectory(prefix="jembatan-bench-") as name:
        folder = Path(name)
        os.environ["JEMBATAN_HOME"] = str(folder / "home")
        os.environ["PREFECT_HOME"] = str(folder / "prefect")
        try:
            with database(folder / "home") as url:
                libraries = [name for contender in CONTENDERS for name in contender.libraries]
                machine_is = machine.describe(url, libraries)
                for size in options.sizes:
                    progress.print(f"{size:,} lines …")
                    profile = options.profile and size == max(options.sizes)
                    results.append(measure(url, folder / str(size), size, options.repeat, profile=profile))
            if options.flow:
                progress.print("The flow run …")
                flow_seconds = flow.measure(folder / "flow")
        except WrongAnswer as wrong:
            progress.print(f"Wrong answer: {wrong}")
            return 1
    report.print_all(console, machine_is, results, flow_seconds)
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "machine": machine_is,
                    "sizes": [
                        {
                            "lines": result.payments,
                            "answer": result.answer,
                            "ledger_import": vars(result.ledger_import),
                            "contenders": {name: vars(times) for name, times in result.times.items()},
                        }
                        for result in results
                    ],
                    "flow_seconds": flow_seconds,
                    "targets": [
                        {"holds": holds, "target": sentence}
                        for holds, sentence in report.verdicts(results, flow_seconds)
                    ],
                },
                indent=1,
            )
        )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconcile", description=__doc__)
    parser.add_argument(
        "--sizes",
        type=lambda text: sorted(int(size) for size in text.split(",")),
        default=[10_000, 100_000, 1_000_000],
        help="numbers of payments, separated by commas",
    )
    parser.add_argument("--repeat", type=int, default=3, help="timed runs of each contender")
    parser.add_argument("--json", type=Path, help="write everything into this file as well")
    parser.add_argument("--flow", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--profile", action="store_true", help="show where our time goes at the largest size")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

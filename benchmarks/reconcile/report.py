"""What was measured, as a table, and a verdict on each target."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.reconcile.contenders import BARE_SQL, CONTENDERS, JEMBATAN
from benchmarks.reconcile.measure import SizeResult

BARE_SQL_TIMES = 1.5
MEMORY_MB = 500
SMALL, SMALL_SECONDS = 10_000, 1.0
LARGE = 1_000_000
IMPORT_SECONDS = 20.0
FLOW_SECONDS = 10.0
LINEAR_WITHIN = 1.25  # time per line at the largest size over that at the size before


def print_all(
    console: Console, machine: dict[str, str], results: list[SizeResult], flow_seconds: float | None
) -> None:
    """Table, remarks, machine, verdicts."""
    console.print(_times(results))
    for contender in CONTENDERS:
        console.print(f"[bold]{contender.name}[/bold]: {escape(contender.remark)}.")
    console.print(_imports(results))
    console.print(escape(" · ".join(f"{name} {value}" for name, value in machine.items())))
    console.print("[bold]Targets[/bold]")
    for holds, sentence in verdicts(results, flow_seconds):
        mark = "[green]holds[/green] " if holds else "[red]missed[/red]"
        console.print(f"{mark} {escape(sentence)}")


def verdicts(results: list[SizeResult], flow_seconds: float | None) -> Iterator[tuple[bool, str]]:
    """Whether each target that these sizes can show holds, in a sentence with its numbers (best times)."""
    at = {result.payments: result for result in results}
    if LARGE in at:
        yield from _against_peers(at[LARGE])
        seconds = at[LARGE].ledger_import.best
        yield (
            seconds <= IMPORT_SECONDS,
            f"ledger import of {LARGE:,} rows within {IMPORT_SECONDS:.0f} s: {seconds:.1f} s",
        )
    if SMALL in at:
        seconds = at[SMALL].times[JEMBATAN.name].best
        yield seconds <= SMALL_SECONDS, f"{SMALL:,} lines within {SMALL_SECONDS:.0f} s: {seconds:.2f} s"
    if len(results) > 1:
        yield _linear(results)
    if flow_seconds is not None:
        yield (
            flow_seconds <= FLOW_SECONDS,
            f"flow run of {SMALL:,} lines, from API call to outcome, within {FLOW_SECONDS:.0f} s: "
            f"{flow_seconds:.1f} s",
        )


def _against_peers(result: SizeResult) -> Iterator[tuple[bool, str]]:
    ours = result.times[JEMBATAN.name]
    for contender in CONTENDERS:
        if contender is JEMBATAN:
            continue
        theirs = result.times[contender.name].best
        if contender is BARE_SQL:
            ratio = ours.best / theirs
            yield (
                ratio <= BARE_SQL_TIMES,
                f"{LARGE:,} lines in at most {BARE_SQL_TIMES} × bare SQL: {ratio:.2f} ×",
            )
        else:
            yield (
                ours.best < theirs,
                f"{LARGE:,} lines faster than {contender.name}: {ours.best:.2f} s to {theirs:.2f} s",
            )
    yield ours.peak_mb <= MEMORY_MB, f"at most {MEMORY_MB} MB at {LARGE:,} lines: {ours.peak_mb:.0f} MB"


def _linear(results: list[SizeResult]) -> tuple[bool, str]:
    per_line = [result.times[JEMBATAN.name].best / result.payments * 1e6 for result in results]
    shown = ", ".join(
        f"{result.payments:,}: {each:.1f} µs" for result, each in zip(results, per_line, strict=True)
    )
    return per_line[-1] <= LINEAR_WITHIN * per_line[-2], f"time grows linearly; per line at {shown}"


def _times(results: list[SizeResult]) -> Table:
    table = Table(title="From a report on disk to a durable outcome for every line", title_justify="left")
    for name in ("lines", "contender", "best s", "median s", "× bare SQL", "peak MB"):
        table.add_column(name, justify="left" if name == "contender" else "right")
    for result in results:
        bare = result.times[BARE_SQL.name].best
        for name, times in result.times.items():
            table.add_row(
                f"{result.payments:,}",
                name,
                f"{times.best:.2f}",
                f"{times.median:.2f}",
                f"{times.best / bare:.2f}",
                f"{times.peak_mb:.0f}",
            )
        table.add_section()
    return table


def _imports(results: list[SizeResult]) -> Table:
    table = Table("rows", "s", "peak MB", title="Import of the ledger", title_justify="left")
    for column in table.columns:
        column.justify = "right"
    for result in results:
        times = result.ledger_import
        table.add_row(f"{result.payments:,}", f"{times.best:.2f}", f"{times.peak_mb:.0f}")
    return table

"""What was measured, as tables with all rounds, and a verdict on each target by the median of the rounds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.payments import create, intake, messages, sweep
from benchmarks.payments.load import percentile

Verdict = tuple[bool, str]
Round = TypeVar("Round")

ADDED_P50_MS, ADDED_P99_MS = 10.0, 50.0
SHARE_OF_PEER = 0.8
INTAKE_P99_MS = 100.0
STORM_SHARE = 1.0
STORM_NOISE = 0.05  # by so much two runs of the very same differ
SWEEP_PER_SECOND = 300.0


def created(rounds: Sequence[create.Round]) -> Table:
    """Each round of charges through our API beside the bare call; told: added while the gateway tells of
    each; late: by how much the load makers came late to an arrival; API's processor: for each charge; stolen:
    by the machine's host, in the turns of `ours`."""
    table = _table(
        f"A charge at {create.RATE:.0f}/s, ms",
        "bare p50", "bare p99", "ours p50", "ours p99", "added p50", "added p99", "told p50", "told p99",
        "late p99: bare", "ours", "API's processor", "other work", "stolen, s",
    )  # fmt: skip
    for one in rounds:
        ours, bare = create.percentiles(one.ours), create.percentiles(one.bare)
        added = (one.added(0.5), one.added(0.99), one.added_when_told(0.5), one.added_when_told(0.99))
        late = (percentile(one.bare_late, 0.99), percentile(one.ours_late, 0.99))
        row = (*bare, *ours, *added, *late, one.processor_ms, one.others, one.stolen)
        table.add_row(*(f"{value:.1f}" for value in row))
    return table


def created_verdicts(rounds: Sequence[create.Round]) -> Iterator[Verdict]:
    """Of the latency that our API adds."""
    p50 = _median(rounds, lambda one: one.added(0.5))
    yield p50 <= ADDED_P50_MS, f"create adds at p50 at most {ADDED_P50_MS:.0f} ms: {p50:.1f} ms"
    p99 = _median(rounds, lambda one: one.added(0.99))
    yield p99 <= ADDED_P99_MS, f"create adds at p99 at most {ADDED_P99_MS:.0f} ms: {p99:.1f} ms"


def taken_in(by_gateway: Mapping[str, Sequence[intake.Round]]) -> Table:
    """Each round of each form of messages, ours beside the peer."""
    table = _table(
        f"Notifications: requests a second, and ms at {intake.RATE:.0f}/s",
        "form", "peer /s", "ours /s", "share", "peer p99", "ours p99", "one event /s", "worked meanwhile",
        "rest s", "other work",
    )  # fmt: skip
    for gateway, rounds in by_gateway.items():
        for one in rounds:
            table.add_row(
                messages.FORMS[gateway],
                f"{one.peer.per_second:,.0f}",
                f"{one.ours.answers.per_second:,.0f}",
                f"{one.share:.0%}",
                f"{one.open_peer.percentile(0.99):.1f}",
                f"{one.open_ours.answers.percentile(0.99):.1f}",
                f"{one.storm.answers.per_second:,.0f}",
                f"{one.open_ours.worked:,} of {one.open_ours.unique:,}",
                f"{one.open_ours.rest_seconds:.1f}",
                f"{one.ours.others:.1f}",
            )
        table.add_section()
    return table


def taken_in_verdicts(by_gateway: Mapping[str, Sequence[intake.Round]]) -> Iterator[Verdict]:
    """Of the intake, for each form."""
    for gateway, rounds in by_gateway.items():
        form = messages.FORMS[gateway]
        share = _median(rounds, lambda one: one.share)
        yield share >= SHARE_OF_PEER, f"{form}: at least {SHARE_OF_PEER:.0%} of the bare handler: {share:.0%}"
        p99 = _median(rounds, lambda one: one.open_ours.answers.percentile(0.99))
        yield (
            p99 < INTAKE_P99_MS,
            f"{form}: p99 under {INTAKE_P99_MS:.0f} ms at {intake.RATE:.0f}/s: {p99:.1f} ms",
        )
        runs = [run for one in rounds for run in (one.ours, one.open_ours)]
        lost = sum(run.accepted - run.stored for run in runs)
        twice = sum(run.stored - run.unique for run in runs)
        yield not lost, f"{form}: accepted minus stored: {lost}"
        yield not twice, f"{form}: stored minus unique: {twice}"
        storm = _median(rounds, lambda one: one.storm_share)
        yield (
            storm >= STORM_SHARE - STORM_NOISE,
            f"{form}: a storm of one event no slower than different ones: {storm:.2f} × their rate",
        )


def swept(by_gateway: Mapping[str, Sequence[sweep.Round]]) -> Table:
    """Each sweep."""
    table = _table(
        f"Sweep of {sweep.PAYMENTS:,} open payments", "form", "asked", "s", "calls a second", "other work"
    )
    for gateway, rounds in by_gateway.items():
        for one in rounds:
            table.add_row(
                messages.FORMS[gateway],
                f"{one.asked:,}",
                f"{one.seconds:.1f}",
                f"{one.per_second:.0f}",
                f"{one.others:.1f}",
            )
        table.add_section()
    return table


def swept_verdicts(by_gateway: Mapping[str, Sequence[sweep.Round]]) -> Iterator[Verdict]:
    """Of the sweep, for each form."""
    for gateway, rounds in by_gateway.items():
        rate = _median(rounds, lambda one: one.per_second)
        least = f"at least {SWEEP_PER_SECOND:.0f} status calls a second"
        yield rate >= SWEEP_PER_SECOND, f"{messages.FORMS[gateway]}: {least}: {rate:.0f}"


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    """One line each."""
    console.print("[bold]Targets[/bold]")
    for holds, sentence in verdicts:
        mark = "[green]holds[/green] " if holds else "[red]missed[/red]"
        console.print(f"{mark} {escape(sentence)}")


def _median(rounds: Sequence[Round], value: Callable[[Round], float]) -> float:
    return median(map(value, rounds))


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="left" if name == "form" else "right")
    return table

"""What the commands print: tables and sentences for people, JSON for programs."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from common.money import rupiah
from records.classes import CLASSES

# In a file or a pipe nothing is 80 columns wide: a reference must not be broken there.
_WIDTH = None if sys.stdout.isatty() else 160
console = Console(highlight=False, width=_WIDTH)
errors = Console(stderr=True, highlight=False)


def complain(sentence: str) -> None:
    """One sentence on standard error."""
    errors.print(f"[red]✗[/red] {sentence}", soft_wrap=True)


def as_json(value: Any) -> None:
    """JSON on standard output, and nothing else there."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def statement_table(outcome: dict[str, Any], sides: tuple[str, str] = ("ledger", "report")) -> Table:
    """The classes of one statement, counts and rupiah on both sides."""
    table = Table(
        title=f"{outcome['gateway']} · {outcome['business_date']} · version {outcome['version']}",
        title_justify="left",
        caption=("✓ the proof balances" if outcome["balanced"] else "✗ THE PROOF DOES NOT BALANCE"),
        caption_justify="left",
    )
    table.add_column("class")
    for name in ("count", *sides):
        table.add_column(name, justify="right")
    for name in CLASSES:
        row = outcome["classes"][name]
        table.add_row(name, f"{row['count']:,}", _rupiah(row["ledger_amount"]), _rupiah(row["report_amount"]))
    table.add_section()
    table.add_row(
        f"{sides[0]} rows", f"{outcome['ledger_rows']:,}", _rupiah(outcome["ledger_amount"]), "", style="bold"
    )
    table.add_row(
        f"{sides[1]} rows", f"{outcome['report_rows']:,}", "", _rupiah(outcome["report_amount"]), style="bold"
    )
    return table


def _rupiah(plain: str) -> str:
    return rupiah(int(plain.replace(".", "")))

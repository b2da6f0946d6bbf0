"""`jembatan keys`: the keys that seal personal data and secrets, and their rotation while the system runs."""

from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from jembatan.commands.output import as_json, console
from jembatan.stack import stack
from records import rotation, sealed
from records.rotation import Column, Done

app = typer.Typer(no_args_is_help=True, help="Keys that seal what is personal or secret.")


@app.command("list")
def list_() -> None:
    """Name the keys of JEMBATAN_ENCRYPTION_KEYS, the newest first. Names tell them apart, nothing more."""
    with stack():
        for place, name in enumerate(sealed.key_names()):
            console.print(f"{name}  {'seals and opens' if place == 0 else 'opens'}")


@app.command("rotate")
def rotate(
    add: Annotated[
        bool, typer.Option("--add", help="Put a new key in front first, where the keys are in a file.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Seal everything in the database anew under the newest key; everything goes on working meanwhile.

    Can be ended and begun again at any time. At its end no older key is needed any more.
    """
    with stack():
        if add:
            sealed.key_names()  # makes the first one, where there is none yet
            sealed.add_key()
        names = sealed.key_names()
        done = rotation.rotate() if json else _with_progress()
    older = names[1:]
    if json:
        columns = [
            {"table": one.column.table, "column": one.column.name, "values": one.values, "anew": one.anew}
            for one in done
        ]
        as_json({"newest": names[0], "can_be_taken_out": older, "columns": columns})
        return
    table = Table("table", "column", "sealed values", "sealed anew")
    for one in done:
        table.add_row(one.column.table, one.column.name, f"{one.values:,}", f"{one.anew:,}")
    console.print(table)
    console.print(f"Everything is sealed by the key {names[0]}.")
    if older:
        console.print(
            f"{', '.join(older)} can be taken out of JEMBATAN_ENCRYPTION_KEYS once no backup needs "
            f"{'it' if len(older) == 1 else 'them'}."
        )


def _with_progress() -> list[Done]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} values"))
    with Progress(*columns, console=console, transient=True) as bars:
        shown: dict[Column, TaskID] = {}

        def tell(column: Column, values: int, _anew: int) -> None:
            if column not in shown:
                shown[column] = bars.add_task(f"{column.table}.{column.name}", total=None)
            bars.update(shown[column], completed=values)

        return rotation.rotate(tell)

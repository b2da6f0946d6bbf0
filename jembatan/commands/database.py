"""`jembatan db` and `jembatan doctor`: the schema, and whether everything is as it should be."""

import sqlalchemy as sa
import typer
from rich.table import Table

from common.settings import settings
from credentials import linkedin
from jembatan.commands.output import console
from jembatan.stack import stack
from records import db
from records.db import unit_of_work

app = typer.Typer(no_args_is_help=True, help="The database.")


@app.command("upgrade")
def upgrade() -> None:
    """Bring the database's schema up to date; does nothing where it is."""
    with stack() as parts:
        db.upgrade(parts.database_url)
        console.print("The schema is up to date.")


# What ended badly and was not made good since by another run of the same.
_LEFT_BEHIND = sa.text(
    """SELECT count(*) FROM process_runs p WHERE p.state = :state AND NOT EXISTS (
        SELECT FROM process_runs later WHERE later.process = p.process AND later.state = 'succeeded'
          AND later.created_at > p.created_at
          AND later.input->>'gateway' IS NOT DISTINCT FROM p.input->>'gateway'
          AND later.input->>'business_date' IS NOT DISTINCT FROM p.input->>'business_date')"""
)


def doctor() -> None:
    """Check the set-up and say what to do about what is wrong; exit 1 if anything is."""
    faults = []
    with stack() as parts, unit_of_work() as session:
        version = session.scalar(sa.text("SHOW server_version_num"))
        rows = [
            ("home", str(settings().home), True),
            ("environment", settings().env, True),
            ("PostgreSQL 18 or later", str(version), int(version or 0) >= 180_000),
            ("local stack", "runs" if parts.api_url else "not running (start it with `jembatan up`)", True),
        ]
        if settings().linkedin.client_id and settings().env == "production":
            old = linkedin.version_fault()
            rows.append(("LinkedIn's version", old or settings().linkedin.version, old is None))
        for state, hint in (
            (
                "needs_attention",
                "`process list --state needs_attention` names them, `process show` says what to do",
            ),
            ("failed", "`jembatan process list --state failed` shows them"),
        ):
            count = session.scalar(_LEFT_BEHIND, {"state": state})
            rows.append((f"processes {state}", f"{count}" + (f": {hint}" if count else ""), not count))
        unproven = session.scalar(
            sa.text("SELECT count(*) FROM reconciliations WHERE is_current AND is_balanced IS NOT TRUE")
        )
        rows.append(("statements that do not balance", str(unproven), not unproven))
    table = Table("", "", "", show_header=False)
    for name, value, is_fine in rows:
        table.add_row("[green]✓[/green]" if is_fine else "[red]✗[/red]", name, value)
        faults += [] if is_fine else [name]
    console.print(table)
    raise typer.Exit(1 if faults else 0)

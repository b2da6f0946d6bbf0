"""`jembatan`: the command line. Exit codes: 0 fine, 1 the job found a failure, 2 wrong usage or input,
3 something needed is not reachable. Errors are one sentence with a next step."""

import sys

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from common.errors import BadInput, NotReachable, UnusableFile
from jembatan.commands import (
    approvals,
    clients,
    completions,
    credentials,
    database,
    demo,
    enrolments,
    entitlements,
    events,
    exceptions,
    keys,
    notifications,
    payments,
    payouts,
    processes,
    programs,
    reconcile,
    refunds,
    subjects,
    up,
)
from jembatan.commands.output import complain
from jembatan.stack import StackError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The bridge between a training platform and its ministry, wallets and credential networks.",
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("reconcile")(reconcile.reconcile)
app.command("doctor")(database.doctor)
app.add_typer(payments.app, name="payments")
app.add_typer(refunds.app, name="refunds")
app.add_typer(programs.app, name="programs")
app.add_typer(approvals.app, name="approvals")
app.add_typer(payouts.app, name="payouts")
app.add_typer(notifications.app, name="notifications")
app.add_typer(events.app, name="events")
app.add_typer(exceptions.app, name="exceptions")
app.add_typer(completions.app, name="completions")
app.add_typer(enrolments.app, name="enrolments")
app.add_typer(entitlements.app, name="entitlements")
app.command("export-subject")(subjects.export_subject)
app.command("erase-subject")(subjects.erase_subject)
app.command("breach-report")(subjects.breach_report)
app.add_typer(processes.app, name="process")
app.add_typer(credentials.app, name="credentials")
app.add_typer(clients.app, name="clients")
app.add_typer(keys.app, name="keys")
app.add_typer(database.app, name="db")


def main() -> None:
    """Run the command line; what a user can mend ends in a sentence, not in a stack trace."""
    try:
        app()
    except UnusableFile as error:
        complain(str(error))
        sys.exit(2)
    except ValidationError as error:
        first = error.errors()[0]
        name = "__".join(str(part) for part in first["loc"]).upper()
        what = first["msg"].removeprefix("Value error, ")
        complain(f"The setting JEMBATAN_{name} is not usable: {what}." if name else f"{what}.")
        sys.exit(2)
    except (BadInput, SettingsError) as error:
        complain(f"{error}.")
        sys.exit(2)
    except (NotReachable, StackError) as error:
        complain(str(error))
        sys.exit(3)

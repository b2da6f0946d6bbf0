"""`jembatan up`: everything local, until Ctrl-C."""

from typing import Annotated

import typer

from jembatan.up import up as run


def up(
    sandbox: Annotated[bool, typer.Option(help="Start the stand-ins for the outside services.")] = True,
) -> None:
    """Start the local stack, print where everything is, and keep it running."""
    raise typer.Exit(run(sandbox))

"""What commands have in common: the arguments that name a deployment and a job, and how one fails."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from spaceport.cli import connect
from spaceport.cli.console import error_console
from spaceport.cli.deployment import Deployment
from spaceport.local.state import locate

Stack = Annotated[
    str | None, typer.Option(help="A deployed CloudFormation stack; without it, the embedded cloud on this machine.")
]
State = Annotated[
    Path, typer.Option(help="Where the embedded cloud keeps its buckets and its table.", envvar="SPACEPORT_STATE")
]
JobIdArgument = Annotated[str, typer.Argument(help="The job's id, as `spaceport jobs` shows it.")]


def open_deployment(stack: str | None, state: Path, *, start: bool = False) -> AbstractContextManager[Deployment]:
    """The deployment that the arguments name. Raises as `connect.find`."""
    return connect.find(stack, locate(state), start=start)


def fail(message: str) -> NoReturn:
    """End the command with a sentence and exit code 1."""
    error_console.print(message, style="red")
    raise typer.Exit(1)

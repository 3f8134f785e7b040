"""`spaceport doctor`: what is wrong with a deployment or missing for one, a sentence each, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spaceport.cli.arguments import Stack, State, open_deployment
from spaceport.cli.console import console, error_console
from spaceport.cli.deployment import Deployment, connect
from spaceport.cli.preflight.account import Account
from spaceport.cli.preflight.checks import Check, Verdict, failed, summary, warning
from spaceport.cli.preflight.examine import NOT_DEPLOYED, examine_account
from spaceport.cli.preflight.identity import NO_REGION
from spaceport.cli.preflight.needs import needs_of
from spaceport.local.state import HOME
from spaceport.pipeline.jobs.recovery import unreadable_manifests
from spaceport.pipeline.tenants import UnreadableTenants, read_tenants
from spaceport.pipeline.text import visible

if TYPE_CHECKING:
    import boto3

LEFT_ALONE: Final = (
    "Its job is left alone; delete the object to be rid of it, or read it with the version that wrote it"
)
NOBODY: Final = "The API lets nobody in, and no upload is accepted, until it is corrected"
MARKS: Final = {Verdict.OK: "ok", Verdict.WARNING: "warning", Verdict.FAILED: "FAILED", Verdict.UNKNOWN: "?"}
STYLES: Final = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red", Verdict.UNKNOWN: "magenta"}


def doctor(
    stack: Stack = None,
    region: Annotated[str | None, typer.Option(help="Of the stack; default: that of your AWS configuration.")] = None,
    mail_from: Annotated[str, typer.Option(help="Before the first deploy: the sender that you will name.")] = "",
    state: State = HOME,
) -> None:
    """Look for what is wrong with a deployment, or before the first one for what the account lacks.

    With `--stack` each line says how something is, and what to do next: quotas, machines, mails; once the stack is
    there, also Batch, images, rules, alarms, dead letters. It only reads. Exit codes: 0 a job can run (without
    `--stack`: nothing is wrong), 1 something stops it.
    """
    if stack:
        _examine_stack(stack, region, mail_from)
        return
    with open_deployment(None, state) as deployment:
        problems = list(examine(deployment))
    for problem in problems:
        error_console.print(f"{problem.sentence}. {problem.remedy}.", style="red")
    if problems:
        raise typer.Exit(1)
    console.print("Nothing is wrong.")


def examine(deployment: Deployment) -> Iterator[Check]:
    """Every problem in a deployment's bucket."""
    try:
        read_tenants(deployment.bucket)
    except UnreadableTenants as error:
        yield failed("tenants", str(error), NOBODY)
    for problem in unreadable_manifests(deployment.bucket):
        yield warning("manifest", str(problem), LEFT_ALONE)


def _examine_stack(stack: str, region: str | None, mail_from: str) -> None:
    import boto3  # noqa: PLC0415  # a quarter of a second that `--help` does without

    from spaceport.local.cloud import TEMPLATE  # noqa: PLC0415  # and so are these
    from spaceport.local.translate import load  # noqa: PLC0415

    session = boto3.Session(region_name=region)
    if not session.region_name:
        _print([NO_REGION])
        raise typer.Exit(1)
    account = Account(session, session.region_name)
    needs = needs_of(load(TEMPLATE))
    checks = _print(examine_account(account, stack, mail_from, needs, lambda: _data(stack, session)))
    deployed = any(check.subject == "stack" and check is not NOT_DEPLOYED for check in checks)
    console.print(summary(checks, deployed=deployed))
    if any(check.verdict is Verdict.FAILED for check in checks):
        raise typer.Exit(1)


def _data(stack: str, session: boto3.Session) -> Iterator[Check]:
    return examine(connect(stack, session))


def _print(checks: Iterable[Check]) -> list[Check]:
    """Print each check as soon as it is there. Returns them."""
    printed = []
    for check in checks:
        console.print(f"{MARKS[check.verdict]:<8}", style=STYLES[check.verdict], end="")
        console.print(visible(f"{check.subject}: {check.sentence}"), soft_wrap=True)
        for line in check.remedy.splitlines():
            console.print(f"{'':8}→ {visible(line)}", soft_wrap=True)
        printed.append(check)
    return printed

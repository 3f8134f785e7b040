"""The commands. Each is short: find the deployment, call the pipeline, print the result."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from spaceport.cli import connect, demo
from spaceport.cli.arguments import Stack, State, open_deployment
from spaceport.cli.compress import compress
from spaceport.cli.console import console, error_console
from spaceport.cli.convert import convert
from spaceport.cli.deployment import Deployment, NotDeployed
from spaceport.cli.doctor import doctor
from spaceport.cli.jobs import fetch, forget, jobs, retry, status, stop
from spaceport.cli.link import link
from spaceport.cli.options import options_table
from spaceport.cli.publish_page import publish_page
from spaceport.cli.results import report_end
from spaceport.cli.run import results_beside, run_job
from spaceport.cli.watch import JobNotStarted
from spaceport.local.errors import CloudDied, StateInUse, StateUnusable
from spaceport.local.state import HOME, NEEDED, check_room, locate
from spaceport.pipeline.contract import JobState
from spaceport.pipeline.errors import Conflict, Refused, UnknownJob
from spaceport.pipeline.jobs.recovery import rebuild_table
from spaceport.pipeline.jobs.state import JobRecord
from spaceport.pipeline.options import Preset
from spaceport.pipeline.tenants import UnreadableTenants
from spaceport.pipeline.text import visible
from spaceport.pipeline.uploads.photo_zip import inspect

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Drone photos in, a 3D Gaussian splat that opens in a browser out. Start with `spaceport demo`.",
)

COPIES = 2
"""Of the zip, that a job needs at least: in the bucket, and its photos."""


@app.command()
def run(
    photos: Annotated[Path, typer.Argument(help="The zip of photos.", exists=True, dir_okay=False)],
    out: Annotated[Path | None, typer.Option(help="Folder for the results; default: the zip's name beside it.")] = None,
    preset: Annotated[Preset, typer.Option(help="How much time to spend.")] = Preset.STANDARD,
    options: Annotated[
        Path | None, typer.Option(help="JSON file with options; see `spaceport options`.", exists=True, dir_okay=False)
    ] = None,
    email: Annotated[str | None, typer.Option(help="Who gets the mail when the job ends.")] = None,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Turn a zip of photos into a splat, and wait for it.

    The zip goes into the uploads bucket of an embedded cloud (or of `--stack`); the stages wake each other by events.
    Ctrl-C stops the job. Exit codes: 0 done, 1 failed, 3 done but not compressed, 130 stopped.

    Several may run on one `--state`: they share its cloud, which ends after the last of them.
    """
    explicit = json.loads(options.read_text()) if options else {}
    merged = {"preset": preset.value} | explicit
    with photos.open("rb") as file:
        inspect(file)  # what intake would refuse after the upload costs neither the upload nor a cloud
    if stack is None:
        check_room(locate(state), NEEDED + COPIES * photos.stat().st_size)
    with open_deployment(stack, state, start=True) as deployment:
        row = run_job(deployment, photos, out or results_beside(photos), merged, email)
    raise typer.Exit(_end(row, deployment, stack, state))


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder for the survey and the results.")] = Path("demo-out"),
    photos: Annotated[int, typer.Option(min=12, max=400, help="Photos in the survey.")] = 30,
    preset: Annotated[Preset, typer.Option(help="How much time to spend.")] = Preset.STANDARD,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Make a small survey of an invented place, and turn it into a splat.

    Nothing is downloaded: the photos are ray-cast here, with camera and GPS tags, and the ground truth is kept beside
    them, so the summary can say how far the reconstructed cameras are from their true positions.
    """
    survey = demo.make(out, photos, console)
    with open_deployment(stack, state, start=True) as deployment:
        row = run_job(deployment, survey.zip_path, out, {"preset": preset.value}, None)
    if row.state is JobState.COMPLETED:
        console.print(demo.compare_with_truth(out, survey))
    raise typer.Exit(_end(row, deployment, stack, state))


@app.command()
def up(state: State = HOME) -> None:
    """Start the embedded cloud and keep it running: drop zips into its bucket, query its table, call its API.

    Jobs that a crash or a shutdown interrupted resume from their last manifest. Ctrl-C shuts it down, or, while other
    commands use it, leaves it to them.
    """
    folder = locate(state)
    log = connect.Follower(folder, error_console)
    with connect.embedded(folder, start=True) as cloud:
        console.print(connect.greeting(cloud), soft_wrap=True)
        for _ in _seconds_until_interrupted():
            connect.check(cloud)
            log.print_news()
    if connect.is_running(folder):
        console.print("Other commands still use the embedded cloud: it stays up for them, and ends after the last.")
    else:
        console.print("The embedded cloud is down. Its buckets and its table are kept.")


@app.command("options")
def options_command(
    as_json: Annotated[bool, typer.Option("--json", help="The JSON Schema instead of a table.")] = False,
) -> None:
    """List every option with its default, and what the presets change."""
    options_table(console, as_json)


@app.command("rebuild-table")
def rebuild(stack: Stack = None, state: State = HOME) -> None:
    """Rebuild the job table from the manifests in the bucket."""
    with open_deployment(stack, state) as deployment:
        recovered = rebuild_table(deployment.bucket, deployment.table)
    problems = [job.problem for job in recovered if job.problem]
    console.print(f"{len(recovered) - len(problems)} jobs are in the table again.")
    for problem in problems:
        error_console.print(f"Left alone: {problem}.", style="yellow")


for command in (doctor, jobs, status, link, stop, retry, fetch, forget, convert, compress):
    app.command()(command)
app.command("publish-page")(publish_page)


def main() -> None:
    """The console script: known failures print a sentence, not a traceback."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # SIGTERM stops the job as Ctrl-C does
    try:
        app()
    except (
        CloudDied,
        Conflict,
        NotDeployed,
        JobNotStarted,
        Refused,
        StateInUse,
        StateUnusable,
        UnknownJob,
        UnreadableTenants,
        json.JSONDecodeError,
    ) as error:
        error_console.print(str(error), style="red")
        sys.exit(1)
    except OSError as error:  # a file or folder of the user's that cannot be read or written
        error_console.print(visible(f"{error.filename or 'Failed'}: {error.strerror or error}"), style="red")
        sys.exit(1)


def _end(row: JobRecord, deployment: Deployment, stack: str | None, state: Path) -> int:
    """Say how a job ended and where a browser shows it. Returns the exit code."""
    code = report_end(row, console)
    if line := connect.job_line(stack, locate(state), deployment, row.job_id):
        console.print(line, soft_wrap=True)
    return code


def _seconds_until_interrupted() -> Iterator[None]:
    """Yields at once and then each second, until Ctrl-C or SIGTERM."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    yield
    while not done.wait(1.0):
        yield

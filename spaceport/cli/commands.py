"""The commands. Each is short: find the deployment, call the pipeline, print the result."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import quote

import typer
from rich.text import Text

from spaceport.cli import connect, demo
from spaceport.cli.compress import compress
from spaceport.cli.console import console, error_console
from spaceport.cli.convert import convert
from spaceport.cli.deployment import Deployment, NotDeployed
from spaceport.cli.doctor import examine
from spaceport.cli.options import options_table
from spaceport.cli.results import download_results, jobs_table, report_end, summary
from spaceport.cli.watch import JobNotStarted, watch
from spaceport.local.errors import CloudDied, StateInUse
from spaceport.pipeline.contract import JobState, StageName
from spaceport.pipeline.errors import Conflict, Refused, UnknownJob
from spaceport.pipeline.jobs.accept import continue_job
from spaceport.pipeline.jobs.births import new_job_id
from spaceport.pipeline.jobs.recovery import rebuild_table
from spaceport.pipeline.jobs.state import END_STATES, JobRecord
from spaceport.pipeline.layout import UPLOADS
from spaceport.pipeline.options import Preset, resolve
from spaceport.pipeline.tenants import UnreadableTenants
from spaceport.pipeline.text import visible
from spaceport.pipeline.uploads.photo_zip import inspect

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Drone photos in, a 3D Gaussian splat that opens in a browser out. Start with `spaceport demo`.",
)

Stack = Annotated[
    str | None, typer.Option(help="A deployed CloudFormation stack; without it, the embedded cloud on this machine.")
]
State = Annotated[
    Path, typer.Option(help="Where the embedded cloud keeps its buckets and its table.", envvar="SPACEPORT_STATE")
]
JobIdArgument = Annotated[str, typer.Argument(help="The job's id, as `spaceport jobs` shows it.")]
HOME = Path("~/.spaceport")
UNCONFIRMED = (
    "Nobody has confirmed {email}, so there will be no mail. The job begins all the same. An address is confirmed by"
    " POST /addresses, by `mail` in tenants.json, or by the parameter MailDomains."
)


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
    """
    explicit = json.loads(options.read_text()) if options else {}
    merged = {"preset": preset.value} | explicit
    with photos.open("rb") as file:
        inspect(file)  # what intake would refuse after the upload costs neither the upload nor a cloud
    with _deployment(stack, state, start=True) as deployment:
        row = _run(deployment, photos, out or _results_beside(photos), merged, email)
    raise typer.Exit(report_end(row, console))


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
    with _deployment(stack, state, start=True) as deployment:
        row = _run(deployment, survey.zip_path, out, {"preset": preset.value}, None)
    if row.state is JobState.COMPLETED:
        console.print(demo.compare_with_truth(out, survey))
    raise typer.Exit(report_end(row, console))


@app.command()
def up(state: State = HOME) -> None:
    """Start the embedded cloud and keep it running: drop zips into its bucket, query its table, call its API.

    Jobs that a crash or a shutdown interrupted resume from their last manifest. Ctrl-C shuts it down.
    """
    with connect.embedded(state.expanduser()) as cloud:
        console.print(connect.greeting(cloud), soft_wrap=True)
        _until_interrupted(cloud.check)
    console.print("The embedded cloud is down. Its buckets and its table are kept.")


@app.command()
def jobs(
    state_is: Annotated[JobState | None, typer.Option("--in", help="Only jobs in this state.")] = None,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """List jobs, the newest first."""
    with _deployment(stack, state) as deployment:
        states = [state_is] if state_is else list(JobState)
        rows = [row for each in states for row in deployment.table.by_state(each)]
    console.print(jobs_table(rows) if rows else "There are no jobs yet. Start one with `spaceport run photos.zip`.")


@app.command()
def status(
    job: JobIdArgument,
    as_json: Annotated[bool, typer.Option("--json", help="The whole row as JSON.")] = False,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Show how far a job is, what it made and what it cost."""
    with _deployment(stack, state) as deployment:
        row = _get_job(deployment, job)
    if as_json:
        console.print_json(row.model_dump_json(exclude_none=True))
        return
    console.print(f"{row.job_id}  {row.state}  {row.percent:.0f} %\n{visible(row.message)}", soft_wrap=True)
    console.print(summary(row))


@app.command()
def stop(job: JobIdArgument, stack: Stack = None, state: State = HOME) -> None:
    """Stop a job. The results of its finished stages are kept."""
    with _deployment(stack, state) as deployment:
        _get_job(deployment, job)
        end = deployment.stop(job)
    if end.state is not JobState.STOPPED:
        error_console.print(f"{job} had ended already: {end.state}.")
        raise typer.Exit(1)
    console.print(f"{job} is stopped. `spaceport retry {job}` goes on from its last finished stage.")


@app.command()
def retry(
    job: JobIdArgument,
    from_stage: Annotated[StageName | None, typer.Option("--from", help="Repeat this stage and all after it.")] = None,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Resume a job that failed or was stopped, from its last finished stage, as a new job.

    An ended job stays as it is; the new one refers to what the old one made.
    """
    with _deployment(stack, state) as deployment:
        row = _get_job(deployment, job)
        if row.state not in END_STATES:
            _fail(f"{job} is still running ({row.state}). Stop it first: `spaceport stop {job}`.")
        stage = from_stage or _next_stage(row)
        try:
            manifest = continue_job(deployment.bucket, deployment.table, job, stage)
        except UnknownJob:
            _fail(f"{job} has nothing from which {stage} could start.")
        console.print(f"{manifest.job_id} goes on from {stage}. Watch it: `spaceport status {manifest.job_id}`.")


@app.command("options")
def options_command(
    as_json: Annotated[bool, typer.Option("--json", help="The JSON Schema instead of a table.")] = False,
) -> None:
    """List every option with its default, and what the presets change."""
    options_table(console, as_json)


@app.command("rebuild-table")
def rebuild(stack: Stack = None, state: State = HOME) -> None:
    """Rebuild the job table from the manifests in the bucket."""
    with _deployment(stack, state) as deployment:
        recovered = rebuild_table(deployment.bucket, deployment.table)
    problems = [job.problem for job in recovered if job.problem]
    console.print(f"{len(recovered) - len(problems)} jobs are in the table again.")
    for problem in problems:
        error_console.print(f"Left alone: {problem}.", style="yellow")


@app.command()
def doctor(stack: Stack = None, state: State = HOME) -> None:
    """Look for what is wrong with a deployment. Exit codes: 0 nothing, 1 something."""
    with _deployment(stack, state) as deployment:
        problems = list(examine(deployment))
    for problem in problems:
        error_console.print(problem, style="red")
    if problems:
        raise typer.Exit(1)
    console.print("Nothing is wrong.")


app.command()(convert)
app.command()(compress)


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
        UnknownJob,
        UnreadableTenants,
        json.JSONDecodeError,
    ) as error:
        error_console.print(str(error), style="red")
        sys.exit(1)


def _deployment(stack: str | None, state: Path, *, start: bool = False) -> AbstractContextManager[Deployment]:
    return connect.find(stack, state.expanduser(), start=start)


def _run(deployment: Deployment, photos: Path, out: Path, options: dict[str, Any], email: str | None) -> JobRecord:
    resolve(options)  # refuse here what intake would refuse after the upload
    job_id = _upload(deployment, photos, options, email)
    console.print(Text.assemble("Job ", (job_id, "bold")), soft_wrap=True)
    try:
        row = watch(deployment.table, job_id, console, deployment.check)
    except KeyboardInterrupt:
        end = deployment.stop(job_id)
        raise typer.Exit(130 if end.state is JobState.STOPPED else 1) from None
    files = download_results(deployment.bucket, job_id, out)
    console.print(summary(row))
    if files:
        console.print(Text.assemble("Results are in ", (visible(str(out)), "bold")), soft_wrap=True)
    return row


def _results_beside(photos: Path) -> Path:
    """A folder of the zip's name; a zip without a suffix has that name itself."""
    return photos.with_suffix("") if photos.suffix else photos.with_name(f"{photos.name}-out")


def _upload(deployment: Deployment, photos: Path, options: dict[str, Any], email: str | None) -> str:
    job_id = new_job_id(photos.stem, os.urandom(16).hex())
    metadata = {"job-id": job_id, "job-name": quote(photos.stem), "options": json.dumps(options)}
    if email:
        metadata["email"] = email
        if not deployment.may_mail(email):
            error_console.print(Text(UNCONFIRMED.format(email=visible(email))), style="yellow", soft_wrap=True)
    deployment.uploads.client.upload_file(
        str(photos), deployment.uploads.name, f"{UPLOADS}{job_id}.zip", ExtraArgs={"Metadata": metadata}
    )
    return job_id


def _get_job(deployment: Deployment, job: str) -> JobRecord:
    row = deployment.table.get(job)
    if row is None:
        _fail(f"There is no job {job}. `spaceport jobs` lists all jobs.")
    return row


def _next_stage(row: JobRecord) -> StageName:
    """The first stage that has no output yet."""
    return next((stage for stage in StageName if stage not in row.outputs), StageName.COMPRESS)


def _fail(message: str) -> NoReturn:
    error_console.print(message, style="red")
    raise typer.Exit(1)


def _until_interrupted(check: Callable[[], None]) -> None:
    """Wait for Ctrl-C or SIGTERM. `check` is called once a second; what it raises propagates."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    while not done.wait(1.0):
        check()

"""The commands. Each is short: find the deployment, call the pipeline, print the result."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from spaceport.cli import connect, demo
from spaceport.cli.compress import compress
from spaceport.cli.console import console, error_console
from spaceport.cli.convert import convert
from spaceport.cli.deployment import Deployment, NotDeployed
from spaceport.cli.doctor import examine
from spaceport.cli.options import options_table
from spaceport.cli.results import download_results, jobs_table, report_end, summary
from spaceport.cli.run import results_are_in, results_beside, run_job
from spaceport.cli.watch import JobNotStarted
from spaceport.local.errors import CloudDied, StateInUse, StateUnusable
from spaceport.local.state import NEEDED, check_room, locate
from spaceport.pipeline.contract import JobState, StageName
from spaceport.pipeline.errors import Conflict, Refused, UnknownJob
from spaceport.pipeline.jobs.accept import continue_job
from spaceport.pipeline.jobs.forget import forget_job, jobs_of_email
from spaceport.pipeline.jobs.recovery import rebuild_table
from spaceport.pipeline.jobs.state import END_STATES, JobRecord
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

Stack = Annotated[
    str | None, typer.Option(help="A deployed CloudFormation stack; without it, the embedded cloud on this machine.")
]
State = Annotated[
    Path, typer.Option(help="Where the embedded cloud keeps its buckets and its table.", envvar="SPACEPORT_STATE")
]
JobIdArgument = Annotated[str, typer.Argument(help="The job's id, as `spaceport jobs` shows it.")]
HOME = Path("~/.spaceport")
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
    with _deployment(stack, state, start=True) as deployment:
        row = run_job(deployment, photos, out or results_beside(photos), merged, email)
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
        row = run_job(deployment, survey.zip_path, out, {"preset": preset.value}, None)
    if row.state is JobState.COMPLETED:
        console.print(demo.compare_with_truth(out, survey))
    raise typer.Exit(report_end(row, console))


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


@app.command()
def fetch(
    job: JobIdArgument,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; default: the job's id.")] = None,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Bring a job's results to this machine: all of them, or of a job that did not complete what there is so far."""
    folder = out or Path(job)
    start = stack is None and (locate(state) / "s3").is_dir()
    with _deployment(stack, state, start=start) as deployment:
        row = _get_job(deployment, job)
        files = download_results(deployment.bucket, job, folder)
    if row.state not in END_STATES:
        text = f"{job} is still running ({row.state}, {row.percent:.0f} %): this is what is finished so far."
        console.print(text, soft_wrap=True)
    elif row.state is not JobState.COMPLETED:
        report_end(row, console)
    if not files:
        _fail(f"No stage of {job} has finished: there is nothing to fetch yet.")
    console.print(results_are_in(folder), soft_wrap=True)


@app.command("forget")
def forget_command(
    job: Annotated[str | None, typer.Argument(help="The job's id, as `spaceport jobs` shows it.")] = None,
    email: Annotated[str | None, typer.Option(help="All jobs whose mails go to this address.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Erase a job for good: its upload, its photos, its models, its rows. Nothing brings it back."""
    with _deployment(stack, state) as deployment:
        by_email = [row.job_id for row in jobs_of_email(deployment.table, email)] if email else []
        job_ids = [*by_email, *([job] if job else [])]
        if not job_ids:
            _fail(f"There are no jobs of {visible(email)}." if email else "Name a job, or an address with `--email`.")
        if not yes:
            typer.confirm(f"Erase {', '.join(map(visible, job_ids))} for good?", abort=True)
        for job_id in job_ids:
            gone = forget_job(deployment.bucket, deployment.uploads, deployment.table, job_id)
            console.print(f"{job_id} is forgotten: {gone.objects} objects and {gone.rows} rows.", soft_wrap=True)


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


def _deployment(stack: str | None, state: Path, *, start: bool = False) -> AbstractContextManager[Deployment]:
    return connect.find(stack, locate(state), start=start)


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


def _seconds_until_interrupted() -> Iterator[None]:
    """Yields at once and then each second, until Ctrl-C or SIGTERM."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    yield
    while not done.wait(1.0):
        yield

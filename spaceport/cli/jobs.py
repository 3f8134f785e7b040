"""The commands for jobs that are there: list, look, stop, go on, bring home, erase."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaceport.cli.arguments import JobIdArgument, Stack, State, fail, open_deployment
from spaceport.cli.console import console, error_console
from spaceport.cli.deployment import Deployment
from spaceport.cli.results import download_results, jobs_table, report_end, summary
from spaceport.cli.run import results_are_in
from spaceport.local.state import HOME, locate
from spaceport.pipeline.addresses import erase_address
from spaceport.pipeline.contract import JobState, StageName
from spaceport.pipeline.errors import UnknownJob
from spaceport.pipeline.jobs.accept import continue_job
from spaceport.pipeline.jobs.forget import forget_job, jobs_of_email
from spaceport.pipeline.jobs.state import END_STATES, JobRecord
from spaceport.pipeline.text import visible


def jobs(
    state_is: Annotated[JobState | None, typer.Option("--in", help="Only jobs in this state.")] = None,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """List jobs, the newest first."""
    with open_deployment(stack, state) as deployment:
        states = [state_is] if state_is else list(JobState)
        rows = [row for each in states for row in deployment.table.by_state(each)]
    console.print(jobs_table(rows) if rows else "There are no jobs yet. Start one with `spaceport run photos.zip`.")


def status(
    job: JobIdArgument,
    as_json: Annotated[bool, typer.Option("--json", help="The whole row as JSON.")] = False,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Show how far a job is, what it made and what it cost."""
    with open_deployment(stack, state) as deployment:
        row = _get_job(deployment, job)
    if as_json:
        console.print_json(row.model_dump_json(exclude_none=True))
        return
    console.print(f"{row.job_id}  {row.state}  {row.percent:.0f} %\n{visible(row.message)}", soft_wrap=True)
    console.print(summary(row))


def stop(job: JobIdArgument, stack: Stack = None, state: State = HOME) -> None:
    """Stop a job. The results of its finished stages are kept."""
    with open_deployment(stack, state) as deployment:
        _get_job(deployment, job)
        end = deployment.stop(job)
    if end.state is not JobState.STOPPED:
        error_console.print(f"{job} had ended already: {end.state}.")
        raise typer.Exit(1)
    console.print(f"{job} is stopped. `spaceport retry {job}` goes on from its last finished stage.")


def retry(
    job: JobIdArgument,
    from_stage: Annotated[StageName | None, typer.Option("--from", help="Repeat this stage and all after it.")] = None,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Resume a job that failed or was stopped, from its last finished stage, as a new job.

    An ended job stays as it is; the new one refers to what the old one made.
    """
    with open_deployment(stack, state) as deployment:
        row = _get_job(deployment, job)
        if row.state not in END_STATES:
            fail(f"{job} is still running ({row.state}). Stop it first: `spaceport stop {job}`.")
        stage = from_stage or _next_stage(row)
        try:
            manifest = continue_job(deployment.bucket, deployment.table, job, stage)
        except UnknownJob:
            fail(f"{job} has nothing from which {stage} could start.")
        console.print(f"{manifest.job_id} goes on from {stage}. Watch it: `spaceport status {manifest.job_id}`.")


def fetch(
    job: JobIdArgument,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; default: the job's id.")] = None,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Bring a job's results to this machine: all of them, or of a job that did not complete what there is so far."""
    folder = out or Path(job)
    start = stack is None and (locate(state) / "s3").is_dir()
    with open_deployment(stack, state, start=start) as deployment:
        row = _get_job(deployment, job)
        files = download_results(deployment.bucket, job, folder)
    if row.state not in END_STATES:
        text = f"{job} is still running ({row.state}, {row.percent:.0f} %): this is what is finished so far."
        console.print(text, soft_wrap=True)
    elif row.state is not JobState.COMPLETED:
        report_end(row, console)
    if not files:
        fail(f"No stage of {job} has finished: there is nothing to fetch yet.")
    console.print(results_are_in(folder), soft_wrap=True)


def forget(
    job: Annotated[str | None, typer.Argument(help="The job's id, as `spaceport jobs` shows it.")] = None,
    email: Annotated[str | None, typer.Option(help="This address, and all jobs whose mails go there.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stack: Stack = None,
    state: State = HOME,
) -> None:
    """Erase a job for good: its upload, its photos, its models, its rows. Nothing brings it back."""
    with open_deployment(stack, state) as deployment:
        by_email = [row.job_id for row in jobs_of_email(deployment.table, email)] if email else []
        job_ids = [*by_email, *([job] if job else [])]
        if not job_ids and not email:
            fail("Name a job, or an address with `--email`.")
        if not yes:
            named = [*job_ids, *([f"what is kept of {email}"] if email else [])]
            typer.confirm(f"Erase {', '.join(map(visible, named))} for good?", abort=True)
        for job_id in job_ids:
            gone = forget_job(deployment.bucket, deployment.uploads, deployment.table, job_id)
            console.print(f"{job_id} is forgotten: {gone.objects} objects and {gone.rows} rows.", soft_wrap=True)
        if email:
            objects = erase_address(deployment.bucket, email)
            if not job_ids and not objects:
                fail(f"There is nothing of {visible(email)}.")
            console.print(f"{visible(email)} is forgotten: {objects} objects.", soft_wrap=True)


def _get_job(deployment: Deployment, job: str) -> JobRecord:
    row = deployment.table.get(job)
    if row is None:
        fail(f"There is no job {job}. `spaceport jobs` lists all jobs.")
    return row


def _next_stage(row: JobRecord) -> StageName:
    """The first stage that has no output yet."""
    return next((stage for stage in StageName if stage not in row.outputs), StageName.COMPRESS)

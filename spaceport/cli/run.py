"""`spaceport run`: upload a zip, show its job until it ends, bring its results."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError
from rich.text import Text

from spaceport.cli.console import console, error_console
from spaceport.cli.deployment import Deployment
from spaceport.cli.results import download_results, summary
from spaceport.cli.watch import await_start, watch
from spaceport.local.errors import CloudDied
from spaceport.pipeline.contract import EndManifest, JobState
from spaceport.pipeline.errors import UnknownJob
from spaceport.pipeline.jobs.births import new_job_id
from spaceport.pipeline.jobs.state import JobRecord
from spaceport.pipeline.layout import UPLOADS
from spaceport.pipeline.options import resolve
from spaceport.pipeline.text import visible

UNCONFIRMED = (
    "Nobody has confirmed {email}, so there will be no mail. The job begins all the same. An address is confirmed by"
    " POST /addresses, by `mail` in tenants.json, or by the parameter MailDomains."
)


def run_job(deployment: Deployment, photos: Path, out: Path, options: dict[str, Any], email: str | None) -> JobRecord:
    """Upload the zip `photos`, wait for its job, and download its results to `out`. Ctrl-C stops the job.

    Raises:
        typer.Exit: the job was stopped, or the zip could not be uploaded.
        CloudDied: the embedded cloud ended.
        JobNotStarted: no job appeared.
    """
    resolve(options)  # refuse here what intake would refuse after the upload
    job_id = _upload(deployment, photos, options, email)
    console.print(Text.assemble("Job ", (job_id, "bold")), soft_wrap=True)
    try:
        row = watch(deployment.table, job_id, console, deployment.check)
    except KeyboardInterrupt:
        end = _stop(deployment, job_id)
        error_console.print(
            f"Stopped. `spaceport fetch {job_id}` brings what is finished;"
            f" `spaceport retry {job_id}` goes on from there."
        )
        raise typer.Exit(130 if end.state is JobState.STOPPED else 1) from None
    except (CloudDied, BotoCoreError):
        error_console.print(
            f"What is done of {job_id} is kept. It goes on as soon as its cloud runs again (`spaceport up`), and"
            f" `spaceport fetch {job_id}` brings its results."
        )
        raise
    files = download_results(deployment.bucket, job_id, out)
    console.print(summary(row))
    if files:
        console.print(results_are_in(out), soft_wrap=True)
    return row


def _stop(deployment: Deployment, job_id: str) -> EndManifest:
    """Stop a job. One that has not begun yet would begin later: its upload is there. It is waited for."""
    try:
        return deployment.stop(job_id)
    except UnknownJob:
        error_console.print("Stopping, as soon as the job has begun.")
        await_start(deployment.table, job_id, deployment.check)
        return deployment.stop(job_id)


def results_are_in(folder: Path) -> Text:
    return Text.assemble("Results are in ", (visible(str(folder)), "bold"))


def results_beside(photos: Path) -> Path:
    """A folder of the zip's name; a zip without a suffix has that name itself."""
    return photos.with_suffix("") if photos.suffix else photos.with_name(f"{photos.name}-out")


def _upload(deployment: Deployment, photos: Path, options: dict[str, Any], email: str | None) -> str:
    job_id = new_job_id(photos.stem, os.urandom(16).hex())
    metadata = {"job-id": job_id, "job-name": quote(photos.stem), "options": json.dumps(options)}
    if email:
        metadata["email"] = email
        if not deployment.may_mail(email):
            error_console.print(Text(UNCONFIRMED.format(email=visible(email))), style="yellow", soft_wrap=True)
    try:
        deployment.uploads.client.upload_file(
            str(photos), deployment.uploads.name, f"{UPLOADS}{job_id}.zip", ExtraArgs={"Metadata": metadata}
        )
    except S3UploadFailedError as error:  # the disk is full, or a stack refuses us
        error_console.print(visible(str(error)), style="red")
        raise typer.Exit(1) from None
    return job_id

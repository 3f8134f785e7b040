"""Jobs that their owners want deleted: the sweeper alone has the right to."""

from __future__ import annotations

from functions.clients import uploads
from functions.sweeper.sweep import Sweep
from spaceport.pipeline.jobs.deletion import delete_job


def delete(sweep: Sweep, job_id: str) -> str:
    """Delete a job for good. Returns `deleted` if that is done."""
    return "deleted" if delete_job(sweep.bucket, uploads(), sweep.table, job_id) else ""

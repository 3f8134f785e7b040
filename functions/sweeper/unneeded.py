"""Batch jobs that nobody needs: they keep others waiting, and on AWS a machine is paid for them."""

from __future__ import annotations

from functions.sweeper.sweep import Sweep, is_starting
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.jobs.batch import BatchJob
from spaceport.pipeline.jobs.silent_stage import SilentStage
from spaceport.pipeline.jobs.state import END_STATES, JobRecord, StageState
from spaceport.pipeline.layout import input_manifest_key

UNNEEDED = "Nothing is left to do for it."
UNNEEDED_TIMES = 2
"""A worker that lives ends by itself between two runs of the sweeper."""


def end_unneeded(sweep: Sweep, job_id: str) -> int:
    """Terminate the Batch jobs of a job that nobody needs. Returns how many.

    Nobody needs one whose job has ended or whose stage is done, nor one that runs while another one holds the lease.
    """
    row = sweep.table.get(job_id)
    return sum(_end_unneeded(sweep, row, stage) for stage in StageName) if row else 0


def _end_unneeded(sweep: Sweep, row: JobRecord, stage: StageName) -> int:
    key = input_manifest_key(row.job_id, stage)
    batch_jobs = [job for job in sweep.of_job(row.job_id) if job.key == key]
    if row.state in END_STATES or stage in row.outputs:
        unneeded = batch_jobs
    else:
        unneeded = _superseded(sweep, row.job_id, stage, batch_jobs)
    running = sorted(job.batch_id for job in unneeded if job.status == "RUNNING")
    silent = SilentStage(sweep.table, row.job_id, stage)
    if running and silent.observe(f"unneeded {' '.join(running)}") < UNNEEDED_TIMES:
        unneeded = [job for job in unneeded if job.status != "RUNNING"]
    sweep.end_without_failure(silent, unneeded, UNNEEDED)
    return len(unneeded)


def _superseded(sweep: Sweep, job_id: str, stage: StageName, batch_jobs: list[BatchJob]) -> list[BatchJob]:
    """Those that run without the lease, which another one holds."""
    running = [job for job in batch_jobs if job.status == "RUNNING" and not is_starting(job, sweep.at)]
    lease = sweep.table.stages(job_id).get(stage) if running else None
    if lease is None or lease.work is not StageState.WORKING or lease.lease_until <= sweep.at.timestamp():
        return []
    return [job for job in running if job.batch_id != lease.holder]

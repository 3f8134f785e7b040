"""What the sweeper does about one silent job: the least that helps. `app.py` says why."""

from __future__ import annotations

from datetime import timedelta

from functions.sweeper.sweep import Sweep, is_starting
from spaceport.pipeline.contract import TITLES, Failure, StageName
from spaceport.pipeline.errors import LostResource, Slug
from spaceport.pipeline.jobs.batch import BatchJob
from spaceport.pipeline.jobs.ending import fail_job, failure_of
from spaceport.pipeline.jobs.recovery import PendingManifest, pending_manifest, read_manifests
from spaceport.pipeline.jobs.silent_stage import SilentStage
from spaceport.pipeline.jobs.state import StageRecord, StageState
from spaceport.pipeline.jobs.tracker import on_manifest

INTERVAL = timedelta(minutes=5)
"""Of the rule SweeperSchedule."""
MAX_QUEUED = timedelta(hours=6)
"""How long a job may wait in a queue that stands still. The queue's own limits, which AWS can explain, are shorter."""
MAX_NUDGES = 3
HUNG_TIMES = 2
"""A worker that lives renews its lease between two runs of the sweeper."""
MAX_STANDSTILL = {
    StageName.SFM: timedelta(hours=4),
    StageName.TRAIN: timedelta(hours=2),
    StageName.COMPRESS: timedelta(hours=1),
}
"""How long a worker may renew its lease without any progress. COLMAP's last adjustment of thousands of photos reports
none for an hour; the time limits of the job definitions, which end what makes progress too, are longer."""
HUNG = "Its worker hung, so its stage is started again."
ABANDONED = "Its job was given up."


def heal(sweep: Sweep, job_id: str) -> str:
    """Help a silent job.

    Returns:
        The action: recorded, working, suspected, queued, terminated, nudged, unqueued or ended.
    """
    for stored in read_manifests(sweep.bucket, job_id):
        on_manifest(sweep.bucket, sweep.table, stored.key)
    pending = pending_manifest(sweep.bucket, job_id)
    if pending is None or pending.stage is None:
        return "recorded"
    row = sweep.table.stages(job_id).get(pending.stage)
    silent = SilentStage(sweep.table, job_id, pending.stage)
    if row and row.work is StageState.WORKING and row.lease_until > sweep.at.timestamp():
        return _watch_progress(sweep, silent)
    return _heal_unheld(sweep, silent, pending, row)


def _heal_unheld(sweep: Sweep, silent: SilentStage, pending: PendingManifest, row: StageRecord | None) -> str:
    """Help a job whose stage no living worker has. `row` is what the last one left, if there was one."""
    batch_jobs = [job for job in sweep.of_job(silent.job_id) if job.key == pending.key]
    running = [job for job in batch_jobs if job.status == "RUNNING"]
    if any(is_starting(job, sweep.at) for job in running):
        return "queued"  # its container is starting, and will take the lease at once
    if batch_jobs and not running:
        return _leave_or_give_up(sweep, silent, batch_jobs)
    if running and silent.observe(f"lease until {row.lease_until if row else 0}") < HUNG_TIMES:
        return "suspected"
    if silent.count_nudge() > MAX_NUDGES:
        return _give_up(sweep, silent, _lost(silent.stage, row))
    return _wake(sweep, silent, pending, batch_jobs)


def _watch_progress(sweep: Sweep, silent: SilentStage) -> str:
    """Give up a job whose worker renews its lease and does nothing else, as its time limit would much later."""
    times = silent.observe(f"version {sweep.table.version(silent.job_id)}")
    if times * INTERVAL < MAX_STANDSTILL[silent.stage]:
        return "working"
    return _give_up(sweep, silent, _lost_by(Slug.TIMED_OUT, silent.stage))


def _wake(sweep: Sweep, silent: SilentStage, pending: PendingManifest, batch_jobs: list[BatchJob]) -> str:
    """Wake a stage again. Batch jobs that hung are ended first: on a laptop the next one waits for them."""
    hung = [job for job in batch_jobs if job.status == "RUNNING"]
    sweep.end_without_failure(silent, hung, HUNG)
    if len(hung) == len(batch_jobs):  # otherwise one waits, and comes next anyway
        sweep.bucket.nudge(pending.key)
    return "terminated" if hung else "nudged"


def _leave_or_give_up(sweep: Sweep, silent: SilentStage, batch_jobs: list[BatchJob]) -> str:
    """A job waits its turn however long the others take: it is given up only where nothing moves."""
    others = any(sweep.is_moving(job) for job in batch_jobs)
    statuses = ", ".join(sorted(job.status for job in batch_jobs))
    times = silent.observe(f"{statuses} in a queue that {'moves' if others else 'stands still'}")
    if others or times * INTERVAL < MAX_QUEUED:
        return "queued"
    _give_up(sweep, silent, _lost_by(Slug.NEVER_STARTED, silent.stage))
    return "unqueued"


def _give_up(sweep: Sweep, silent: SilentStage, failure: Failure) -> str:
    """End a job, and only then its Batch jobs, whose end says less."""
    fail_job(sweep.bucket, sweep.table, silent.job_id, silent.stage, failure)
    sweep.terminate(sweep.of_job(silent.job_id), ABANDONED)
    return "ended"


def _lost(stage: StageName, row: StageRecord | None) -> Failure:
    """The reason that the last worker recorded, or else what its silence means."""
    if row and row.failure:
        return row.failure
    return _lost_by(Slug.MACHINE_LOST if row else Slug.NEVER_STARTED, stage)


def _lost_by(slug: Slug, stage: StageName) -> Failure:
    return failure_of(LostResource(slug, stage=TITLES[stage]))

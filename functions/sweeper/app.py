"""Repairs jobs whose events never arrived: the last resort of a pipeline without an orchestrator.

Problem. AWS delivers every event at least once, but in practice now and then never: a rule deployed a second late, a
queue without machines, a machine that dies without notice, a worker that hangs. Then a job stays in one state for ever
and no one knows, a machine is paid for nothing, and on a laptop every job behind it waits.

Mechanism. A job at work writes its row every two seconds (its heartbeat), so a row in an unfinished state that was not
written for `SILENCE` is silent. For each one, from the index `by_state`, the oldest first, `heal.py` compares the
manifests in the bucket, the lease in the table and the job in the queue, and does the least that helps:

- its events were lost: record the manifests again, and end the job if they say that it is over;
- it waits in a queue in which others run, or a worker holds a live lease and makes progress: leave it;
- its Batch job runs, but the lease expired and was not renewed until the next run, or was never taken: the worker
  hangs. End that Batch job, and wake the stage again;
- no worker has it (no event came, or a lease expired): write the manifest that wakes the stage again, which fires its
  event once more; the lease makes a needless nudge harmless;
- that was done `MAX_NUDGES` times: end it, as NEVER_STARTED or MACHINE_LOST, so that its owner gets a mail, and all of
  its Batch jobs.

Then `unneeded.py` ends the Batch jobs of jobs that have ended, and others that nobody needs. Last, `deletions.py`
deletes the jobs that their owners want deleted.

Time is the table's (`JobTable.clock`), and whatever ends work counts runs of the sweeper, not hours: for a laptop that
slept, the night took no time.

Interval: every five minutes, from the rule SweeperSchedule. Look-back: none; a silent job stays silent until it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.clients import NAMESPACE, batch, bucket, queues, table, tenants
from functions.sweeper.deletions import delete
from functions.sweeper.heal import heal
from functions.sweeper.measure import measure_queues
from functions.sweeper.places import free_place, open_jobs
from functions.sweeper.silent import silent_jobs
from functions.sweeper.sweep import Sweep, by_job
from functions.sweeper.unneeded import end_unneeded
from spaceport.pipeline.jobs.batch import unfinished_jobs
from spaceport.pipeline.jobs.deletion import requested_deletions
from spaceport.pipeline.tenants import UnreadableTenants

SILENCE = timedelta(minutes=10)
RESERVE_MS = 20_000
"""Stop with this much time left, rather than be cut off in the middle of a job; the next run continues."""

Action = Callable[[Sweep, str], str]
"""What is done about a job; returns what that was, or nothing."""

logger = Logger(service="sweeper")
metrics = Metrics(namespace=NAMESPACE, service="sweeper")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(_: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Returns how often each action was taken. A job that cannot be healed does not hold up the others."""
    sweep = _sweep()
    silent = dict.fromkeys(silent_jobs(sweep.table, sweep.at - SILENCE))
    steps: list[tuple[str, Action]] = [(job_id, heal) for job_id in silent]
    steps += [(job_id, _end_unneeded) for job_id in sweep.batch_jobs if job_id not in silent]
    steps += [(job_id, partial(_free_place, tenant)) for tenant, job_id in _open_jobs(sweep)]
    steps += [(job_id, delete) for job_id in requested_deletions(sweep.bucket)]
    actions: Counter[str] = Counter()
    for number, (job_id, step) in enumerate(steps):
        if context.get_remaining_time_in_millis() < RESERVE_MS:
            logger.warning("out of time", left=len(steps) - number)
            break
        logger.set_correlation_id(job_id)
        try:
            action = step(sweep, job_id)
        except Exception:
            logger.exception("could not heal")
            action = "failed"
        if action:
            logger.info("swept", action=action)
            actions[action] += 1
    metrics.add_metric("SilentJobs", MetricUnit.Count, len(silent))
    metrics.add_metric("Unhealed", MetricUnit.Count, actions["failed"])  # there is an alarm on it
    return dict(actions)


def _sweep() -> Sweep:
    at, batch_jobs = table().now(), list(unfinished_jobs(batch(), queues()))
    measure_queues(batch_jobs, queues(), at)
    return Sweep(bucket(), table(), batch(), at, by_job(batch_jobs))


def _end_unneeded(sweep: Sweep, job_id: str) -> str:
    return "unneeded" if end_unneeded(sweep, job_id) else ""


def _open_jobs(sweep: Sweep) -> list[tuple[str, str]]:
    try:
        return list(open_jobs(sweep, tenants()))
    except UnreadableTenants:  # which is no reason to leave silent jobs alone
        logger.exception("no place is freed")
        return []


def _free_place(tenant: str, sweep: Sweep, job_id: str) -> str:
    return free_place(sweep, tenant, job_id)

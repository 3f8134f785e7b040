"""Repairs jobs whose events never arrived: the last resort of a pipeline without an orchestrator.

Problem. AWS delivers every event at least once, but in practice now and then never: a rule deployed a second late, a
queue without machines, a machine that dies without notice. Then a job stays in one state for ever and no one knows.

Mechanism. A job at work writes its row every two seconds (its heartbeat), so a row in an unfinished state that was not
written for `SILENCE` is silent. For each one, from the index `by_state`, the oldest first, `heal.py` compares the
manifests in the bucket, the lease in the table and the job in the queue, and does the least that helps:

- its events were lost: record the manifests again, and end the job if they say that it is over;
- it waits in the queue, or a worker holds a live lease: leave it, but not for longer than `MAX_QUEUED`;
- no worker has it (no event came, or a lease expired): write the manifest that wakes the stage again, which fires its
  event once more; the lease makes a needless nudge harmless;
- that was done `MAX_NUDGES` times: end it, as NEVER_STARTED or MACHINE_LOST, so that its owner gets a mail.

Interval: every five minutes, from the rule SweeperSchedule. Look-back: none; a silent job stays silent until it ends.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.clients import NAMESPACE, batch, bucket, queues, table
from functions.sweeper.heal import heal
from functions.sweeper.silent import silent_jobs
from spaceport.pipeline.contract import now
from spaceport.pipeline.jobs.batch import unfinished_jobs

SILENCE = timedelta(minutes=10)
RESERVE_MS = 20_000
"""Stop with this much time left, rather than be cut off in the middle of a job; the next run continues."""

logger = Logger(service="sweeper")
metrics = Metrics(namespace=NAMESPACE, service="sweeper")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(_: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Returns how often each action was taken. A job that cannot be healed does not hold up the others."""
    silent = list(silent_jobs(table(), now() - SILENCE))
    batch_jobs = {job.key: job for job in unfinished_jobs(batch(), queues())} if silent else {}
    actions: Counter[str] = Counter()
    for job_id in silent:
        if context.get_remaining_time_in_millis() < RESERVE_MS:
            logger.warning("out of time", left=len(silent) - actions.total())
            break
        logger.set_correlation_id(job_id)
        try:
            action = heal(bucket(), table(), batch(), job_id, batch_jobs)
        except Exception:
            logger.exception("could not heal")
            action = "failed"
        logger.info("silent job", action=action)
        actions[action] += 1
    metrics.add_metric("SilentJobs", MetricUnit.Count, len(silent))
    metrics.add_metric("Unhealed", MetricUnit.Count, actions["failed"])  # there is an alarm on it
    return dict(actions)

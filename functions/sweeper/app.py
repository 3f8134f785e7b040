"""Makes good what never arrived: the last resort of a pipeline without an orchestrator.

Problem. Every event comes at least once, says AWS, and in practice now and then never: a rule deployed a second late, a
queue that nobody serves, a machine that dies without a word. Then a job sits in one state for ever and no one is told.

Mechanism. A job that is at work writes its row every two seconds (its heartbeat), so a row of an unfinished state that
was not touched for `SILENT` is silent. For each one, found by the index `by_state`, the oldest first, `heal.py`
compares the manifests in the bucket, the claim in the table and the job in the queue, and does the least that helps:

- its news was lost: record the manifests again, and end the job if they say that it is over;
- it waits in the queue, or a worker holds a live lease: leave it, but not for longer than `QUEUED`;
- nobody works on it (no event came, or a lease ran out): write the waking manifest again, which fires its event once
  more; the claims make a needless nudge harmless;
- that was done `NUDGES` times: end it, as NEVER_STARTED or MACHINE_LOST, so that its owner gets a mail.

Interval: every five minutes, from the rule SweeperSchedule. Look-back: none, a silent job stays silent until it ends.
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

SILENT = timedelta(minutes=10)
ROOM_MS = 20_000
"""Stop with so much time left, rather than be cut off in the middle of a job; the next round goes on."""

logger = Logger(service="sweeper")
metrics = Metrics(namespace=NAMESPACE, service="sweeper")


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(_: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Returns how often each thing was done. One job that cannot be healed does not keep the others waiting."""
    silent = list(silent_jobs(table(), now() - SILENT))
    waiting = {job.key: job for job in unfinished_jobs(batch(), queues())} if silent else {}
    done: Counter[str] = Counter()
    for job_id in silent:
        if context.get_remaining_time_in_millis() < ROOM_MS:
            logger.warning("out of time", left=len(silent) - done.total())
            break
        logger.set_correlation_id(job_id)
        try:
            action = heal(bucket(), table(), batch(), job_id, waiting)
        except Exception:
            logger.exception("could not heal")
            action = "failed"
        logger.info("silent job", action=action)
        done[action] += 1
    metrics.add_metric("SilentJobs", MetricUnit.Count, len(silent))
    metrics.add_metric("Unhealed", MetricUnit.Count, done["failed"])  # an alarm looks at it
    return dict(done)

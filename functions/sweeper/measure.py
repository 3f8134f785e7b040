"""How many Batch jobs run and wait in each queue, and how long the oldest has waited: Batch has no such metrics."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from functions.clients import NAMESPACE
from spaceport.pipeline.jobs.batch import BatchJob

WAITING = frozenset({"SUBMITTED", "PENDING", "RUNNABLE"})
"""Jobs that have no machine yet."""


def measure_queues(batch_jobs: Collection[BatchJob], queues: Collection[str], at: datetime) -> None:
    """Send the metrics of each queue, by `queue`, the name in its ARN. An empty queue counts too: as 0."""
    for queue in queues:
        of_queue = [job for job in batch_jobs if job.queue == queue]
        waiting = [job for job in of_queue if job.status in WAITING]
        ages = [(at - job.queued_at).total_seconds() for job in waiting if job.queued_at]
        metrics = EphemeralMetrics(namespace=NAMESPACE)
        metrics.add_dimension("queue", queue.rpartition("/")[2])
        metrics.add_metric("Running", MetricUnit.Count, len(of_queue) - len(waiting))
        metrics.add_metric("Waiting", MetricUnit.Count, len(waiting))
        metrics.add_metric("SecondsInQueue", MetricUnit.Seconds, max([0.0, *ages]))
        metrics.flush_metrics()

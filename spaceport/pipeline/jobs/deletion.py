"""Deleting a job at its owner's request: at once for people, and soon for good.

The API has no right to delete anything. It writes `deletions/ID.json`, which is the truth, and hides the job's row; the
sweeper forgets each job that is named there, and then deletes the request.
"""

from __future__ import annotations

from collections.abc import Iterator

from spaceport.pipeline import layout
from spaceport.pipeline.contract import now
from spaceport.pipeline.errors import Conflict, UnknownJob
from spaceport.pipeline.jobs.forget import forget_job, jobs_built_on
from spaceport.pipeline.jobs.state import END_STATES, JobRecord
from spaceport.pipeline.jobs.table import JOB, JobTable
from spaceport.pipeline.storage import Bucket


def request_deletion(bucket: Bucket, table: JobTable, row: JobRecord) -> None:
    """Have a job deleted that has ended. Idempotent.

    Raises:
        Conflict: it has not ended, or other jobs build on its files.
    """
    if row.state not in END_STATES:
        raise Conflict(f"Job {row.job_id} has not ended ({row.state}). Stop it first.")
    built = sorted(jobs_built_on(table, row.tenant, row.job_id, with_deleted=False))
    if built:
        raise Conflict(f"Job {row.job_id} holds files of {', '.join(built)}. Delete these first.")
    bucket.put_once(layout.deletion_key(row.job_id), b"{}")
    table.table.update_item(
        Key={"job_id": row.job_id, "record": JOB},
        UpdateExpression="SET deleted_at = :at ADD version :one",
        ConditionExpression="attribute_exists(job_id)",
        ExpressionAttributeValues={":at": now().isoformat(), ":one": 1},
    )


def requested_deletions(bucket: Bucket) -> Iterator[str]:
    """Ids of the jobs that are to be deleted."""
    for item in bucket.list_objects(layout.DELETIONS):
        yield item.key.removeprefix(layout.DELETIONS).removesuffix(".json")


def delete_job(bucket: Bucket, uploads: Bucket, table: JobTable, job_id: str) -> bool:
    """Delete a job for good, and the request to. False while another job builds on its files: later, then."""
    try:
        forget_job(bucket, uploads, table, job_id)
    except Conflict:
        return False
    except UnknownJob:  # all was done but the last step
        pass
    bucket.erase(layout.deletion_key(job_id))
    return True

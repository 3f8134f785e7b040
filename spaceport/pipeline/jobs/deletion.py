"""Deleting a job at its owner's request: at once for people, and soon for good.

The API has no right to delete anything. It writes `deletions/ID.json`, which is the truth, and hides the job's row; the
sweeper forgets each job that is named there, and then deletes the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from boto3.dynamodb.conditions import Attr, Key

from spaceport.pipeline import layout
from spaceport.pipeline.contract import now
from spaceport.pipeline.errors import Conflict, UnknownJob
from spaceport.pipeline.jobs.forget import forget_job
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
    built = sorted(_built_on(table, row))
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


def _built_on(table: JobTable, row: JobRecord) -> Iterator[str]:
    """Ids of the jobs that build on one, but for those that are being deleted too. They have its tenant."""
    more: dict[str, Any] = {}
    while True:
        response = table.table.query(
            IndexName="by_tenant",
            KeyConditionExpression=Key("tenant").eq(row.tenant),
            FilterExpression=Attr("continues").eq(row.job_id) & Attr("deleted_at").not_exists(),
            ProjectionExpression="job_id",
            **more,
        )
        yield from (str(item["job_id"]) for item in response["Items"])
        if "LastEvaluatedKey" not in response:
            return
        more = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

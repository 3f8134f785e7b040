"""The job table in DynamoDB: an index for people and a lock for workers. The bucket stays the truth.

Rows are changed by compare-and-swap around the pure `state.advance`; a lease is taken by a single conditional write.
Leases begin and end by the table's clock, so that a machine whose own clock is wrong takes no one's work:
docs/decisions/0012-leases-by-the-tables-clock.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from spaceport.pipeline.aws_errors import error_code
from spaceport.pipeline.contract import AnyManifest, Failure, JobState, StageName
from spaceport.pipeline.jobs.attributes import from_dynamodb, to_dynamodb
from spaceport.pipeline.jobs.cursor import Cursor
from spaceport.pipeline.jobs.state import Beat, JobRecord, StageRecord, StageState, advance

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

JOB = "job"
MAIL = "mail"
CLOCK = "clock"
"""The key of a row that is never written: reading it says what time it is."""
KEEP_DAYS = "SPACEPORT_KEEP_DAYS"
"""The environment variable that says for how long rows are kept, as the job's files are; without it for ever."""
LEASE_SECONDS = 90.0
SWAP_ATTEMPTS = 20


class LeaseAnswer(Enum):
    """Whether a worker gets the lease on a stage."""

    GRANTED = "granted"
    BUSY = "busy"
    """Another worker holds the lease."""
    DONE = "done"
    """This very input is done already."""


class JobTable:
    """Rows of one table.

    Args:
        clock: seconds since the epoch; without it the table's own, at the price of a read.
    """

    def __init__(
        self, name: str, resource: DynamoDBServiceResource | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        self.table = (resource or boto3.resource("dynamodb")).Table(name)
        self.clock = clock or self._read_clock
        self._keep = float(os.environ.get(KEEP_DAYS, "0")) * 24 * 3600

    def now(self) -> datetime:
        """`clock` as a time in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def get(self, job_id: str) -> JobRecord | None:
        return self.get_versioned(job_id)[0]

    def get_versioned(self, job_id: str) -> tuple[JobRecord | None, int]:
        """The job's row with its version: how often it was written; 0 when there is none."""
        item = self._item(job_id, JOB)
        return (JobRecord.model_validate(item) if item else None), _version(item)

    def stages(self, job_id: str) -> dict[StageName, StageRecord]:
        """The stages of a job that were ever claimed."""
        response = self.table.query(
            KeyConditionExpression=Key("job_id").eq(job_id) & Key("record").begins_with("stage#"), ConsistentRead=True
        )
        rows = [StageRecord.model_validate(from_dynamodb(item)) for item in response["Items"]]
        return {StageName(row.record.removeprefix("stage#")): row for row in rows}

    def note_unsent_mail(self, job_id: str, reason: str) -> None:
        """Say why the job's mail was not sent, in a row of its own: the job is as it is."""
        self.table.put_item(Item={"job_id": job_id, "record": MAIL, "reason": reason})

    def unsent_mail(self, job_id: str) -> str | None:
        """Why the job's mail was not sent; None if it was, or will be, or there is no address."""
        item = self._item(job_id, MAIL)
        return str(item["reason"]) if item else None

    def by_state(self, state: JobState, limit: int = 100) -> list[JobRecord]:
        """Jobs in a state, the newest first."""
        return self._newest("state", state.value, limit)[0]

    def page_of_tenant(
        self,
        tenant: str,
        limit: int,
        after: Cursor | None = None,
        *,
        states: Collection[JobState] = (),
        owner: str | None = None,
    ) -> tuple[list[JobRecord], Cursor | None]:
        """Jobs of a tenant, the newest first; only those in one of the states, or of an owner, if any is named.

        Returns them with the cursor behind them, from which the next page goes on; None where no more may follow.
        """
        conditions = [Attr("state").is_in([state.value for state in states])] if states else []
        if owner:
            return self._newest("owner", owner, limit, [*conditions, Attr("tenant").eq(tenant)], after)
        return self._newest("tenant", tenant, limit, conditions, after)

    def record(self, event: AnyManifest | Beat, job_id: str | None = None) -> JobRecord | None:
        """Fold an event into the job's row; idempotent. Returns the row as it then is.

        A beat needs `job_id`, and returns None when there is no row yet. It counts from when the table gets it: a
        worker whose clock is ahead would not seem silent for as long after its death.
        """
        job_id = job_id or (event.job_id if not isinstance(event, Beat) else None)
        if job_id is None:
            raise ValueError("a beat needs its job's id")
        for _ in range(SWAP_ATTEMPTS):
            item, answered_at = self._read(job_id, JOB)
            before = JobRecord.model_validate(item) if item else None
            after = advance(before, replace(event, at=answered_at) if isinstance(event, Beat) else event)
            if after is None or after == before or self._compare_and_swap(after, _version(item), item):
                return after
        raise TimeoutError(f"the row of {job_id} changed {SWAP_ATTEMPTS} times while it was being written")

    def erase(self, job_id: str) -> int:
        """Delete all rows of a job. Returns how many there were."""
        rows = self.table.query(KeyConditionExpression=Key("job_id").eq(job_id), ConsistentRead=True)["Items"]
        for row in rows:  # a dozen at most
            self.table.delete_item(Key={"job_id": row["job_id"], "record": row["record"]})
        return len(rows)

    def version(self, job_id: str) -> int:
        """The version of the job's row, readable or not: how often it was written; 0 when there is none."""
        return _version(self._item(job_id, JOB))

    def replace(self, job_id: str, manifests: Iterable[AnyManifest], version: int) -> bool:
        """Replace the job's row by what `manifests` say, whatever it held; leases and idempotency marks stay.

        Returns False, and writes nothing, when the row no longer has that `version`.
        """
        row: JobRecord | None = None
        for manifest in manifests:
            row = advance(row, manifest)
        if row is None:
            raise ValueError(f"no manifest of {job_id} to make a row from")
        return self._compare_and_swap(row, version)

    def acquire(self, job_id: str, stage: StageName, etag: str, holder: str, attempt: int) -> LeaseAnswer:
        """Take the lease on a stage for an input.

        Granted when no one holds it, when the holder asks again (a Batch retry keeps its id), or when it has expired.
        """
        names = {"#work": "work", "#holder": "holder"}
        try:
            self.table.update_item(
                Key=_key(job_id, stage),
                UpdateExpression="SET #work = :working, input_etag = :etag, #holder = :holder, attempt = :attempt,"
                f" lease_until = :lease{', expiration = :end' if self._keep else ''} ADD claims :one REMOVE failure",
                ConditionExpression="attribute_not_exists(#holder) OR ((#holder = :holder OR lease_until < :now)"
                " AND NOT (#work = :done AND input_etag = :etag))",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={
                    ":working": StageState.WORKING.value,
                    ":done": StageState.DONE.value,
                    ":etag": etag,
                    ":holder": holder,
                    ":attempt": attempt,
                    ":lease": self._lease_end(),
                    ":now": to_dynamodb(self.clock()),
                    ":one": 1,
                }
                | ({":end": int(self.clock() + self._keep)} if self._keep else {}),
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            row = self.stages(job_id).get(stage)
            done = row is not None and row.work is StageState.DONE and row.input_etag == etag
            return LeaseAnswer.DONE if done else LeaseAnswer.BUSY
        return LeaseAnswer.GRANTED

    def renew(self, job_id: str, stage: StageName, holder: str, spent: float) -> bool:
        """Renew a lease, after `spent` seconds of all tries. False when it is another worker's now."""
        values = {":lease": self._lease_end(), ":spent": to_dynamodb(spent)}
        return self._if_held(job_id, stage, holder, "SET lease_until = :lease, spent = :spent", values)

    def finish(self, job_id: str, stage: StageName, holder: str) -> bool:
        """Record that the stage's manifest is written."""
        return self._if_held(
            job_id, stage, holder, "SET #work = :done, lease_until = :zero", {":done": "DONE", ":zero": 0}
        )

    def release(self, job_id: str, stage: StageName, holder: str, spent: float, failure: Failure | None = None) -> bool:
        """Give a lease back, so that the next try need not wait until it expires; `failure` says why."""
        values: dict[str, Any] = {":released": StageState.RELEASED.value, ":zero": 0, ":spent": to_dynamodb(spent)}
        expression = "SET #work = :released, lease_until = :zero, spent = :spent"
        if failure:
            expression += ", failure = :failure"
            values[":failure"] = failure.model_dump(mode="json")
        return self._if_held(job_id, stage, holder, expression, values)

    def _if_held(self, job_id: str, stage: StageName, holder: str, update: str, values: dict[str, Any]) -> bool:
        names = {"#holder": "holder", "#work": "work"}
        try:
            self.table.update_item(
                Key=_key(job_id, stage),
                UpdateExpression=update,
                ConditionExpression="#holder = :holder AND #work = :working",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values | {":holder": holder, ":working": StageState.WORKING.value},
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            return False
        return True

    def _compare_and_swap(self, after: JobRecord, old: int, before: Mapping[str, Any] | None = None) -> bool:
        body = after.model_dump(mode="json", exclude_none=True)
        item = {name: to_dynamodb(value) for name, value in body.items()} | {"version": old + 1}
        if self._keep:
            item["expiration"] = int(after.updated_at.timestamp() + self._keep)
        elif before and "expiration" in before:  # a command line does not know for how long
            item["expiration"] = before["expiration"]
        condition = "version = :old" if old else "attribute_not_exists(job_id)"
        values: dict[str, Any] = {"ExpressionAttributeValues": {":old": old}} if old else {}
        try:
            self.table.put_item(Item=item, ConditionExpression=condition, **values)
        except ClientError as error:
            if not condition_failed(error):
                raise
            return False
        return True

    def _newest(
        self, attribute: str, value: str, limit: int, conditions: Sequence[Any] = (), after: Cursor | None = None
    ) -> tuple[list[JobRecord], Cursor | None]:
        """Up to `limit` rows. A page counts the rows that it leaves out, so pages are read until there are enough."""
        more: dict[str, Any] = {"FilterExpression": reduce(and_, conditions)} if conditions else {"Limit": limit}
        if after:
            more["ExclusiveStartKey"] = after.start_key(JOB) | {attribute: value}
        rows: list[JobRecord] = []
        while True:
            key = Key(attribute).eq(value)
            response = self.table.query(
                IndexName=f"by_{attribute}", KeyConditionExpression=key, ScanIndexForward=False, **more
            )
            records = (JobRecord.model_validate(from_dynamodb(item)) for item in response["Items"])
            rows += [row for row in records if row.deleted_at is None]
            is_last = "LastEvaluatedKey" not in response
            if is_last or len(rows) >= limit:
                break
            more["ExclusiveStartKey"] = response["LastEvaluatedKey"]
        is_complete = is_last and len(rows) <= limit
        return rows[:limit], None if is_complete or not rows else Cursor.behind(rows[:limit][-1])

    def _item(self, job_id: str, record: str) -> dict[str, Any] | None:
        return self._read(job_id, record)[0]

    def _read(self, job_id: str, record: str) -> tuple[dict[str, Any] | None, datetime]:
        """A row, and when the table answered."""
        response = self.table.get_item(Key={"job_id": job_id, "record": record}, ConsistentRead=True)
        item = from_dynamodb(response["Item"]) if "Item" in response else None
        return item, datetime.fromtimestamp(_answered_at(response), UTC)

    def _read_clock(self) -> float:
        """When the table answers a read. Up to a second and the answer's journey behind, and never ahead."""
        return _answered_at(self.table.get_item(Key={"job_id": CLOCK, "record": CLOCK}))

    def _lease_end(self) -> Any:
        return to_dynamodb(self.clock() + LEASE_SECONDS)


def _key(job_id: str, stage: StageName) -> dict[str, Any]:
    return {"job_id": job_id, "record": f"stage#{stage.value}"}


def _answered_at(response: Mapping[str, Any]) -> float:
    """Seconds since the epoch by the clock of the service that sent `response`; by our own if it does not say."""
    date = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date).timestamp() if date else time.time()


def _version(item: dict[str, Any] | None) -> int:
    return int(item["version"]) if item else 0


def condition_failed(error: ClientError) -> bool:
    """Whether a conditional write was refused for its condition."""
    return error_code(error) == "ConditionalCheckFailedException"

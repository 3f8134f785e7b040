"""The job table in DynamoDB: an index for people and a lock for workers. The bucket stays the truth.

Rows are changed by compare-and-swap around the pure `jobs.advance`; claims are single conditional writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import boto3
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from spaceport.pipeline.contract import AnyManifest, Failure, JobState, StageName
from spaceport.pipeline.jobs.state import Beat, JobRecord, StageRecord, Work, advance

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

JOB = "job"
LEASE_SECONDS = 90.0
SWAP_TRIES = 20


class Claim(Enum):
    """The answer to a worker that asks for a stage."""

    GRANTED = "granted"
    BUSY = "busy"
    """Another worker holds it and is alive."""
    DONE = "done"
    """This very input was worked off already."""


class JobTable:
    """Rows of one table. `resource` and `clock` are given by tests."""

    def __init__(
        self, name: str, resource: DynamoDBServiceResource | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.table = (resource or boto3.resource("dynamodb")).Table(name)
        self.clock = clock

    def get(self, job_id: str) -> JobRecord | None:
        item = self._item(job_id, JOB)
        return JobRecord.model_validate(item) if item else None

    def stages(self, job_id: str) -> dict[StageName, StageRecord]:
        """The stages of a job that were ever claimed."""
        answer = self.table.query(
            KeyConditionExpression=Key("job_id").eq(job_id) & Key("record").begins_with("stage#"), ConsistentRead=True
        )
        rows = [StageRecord.model_validate(_plain(item)) for item in answer["Items"]]
        return {StageName(row.record.removeprefix("stage#")): row for row in rows}

    def by_state(self, state: JobState, limit: int = 100) -> list[JobRecord]:
        """Jobs in a state, the newest first."""
        return self._newest("by_state", Key("state").eq(state.value), limit)

    def by_owner(self, owner: str, limit: int = 100) -> list[JobRecord]:
        """Jobs of an owner, the newest first."""
        return self._newest("by_owner", Key("owner").eq(owner), limit)

    def record(self, news: AnyManifest | Beat, job_id: str | None = None) -> JobRecord | None:
        """Fold news into the job's row; twice is as once. Returns the row that holds then.

        A beat needs `job_id`, and returns None when there is no row yet.
        """
        job_id = job_id or (news.job_id if not isinstance(news, Beat) else None)
        if job_id is None:
            raise ValueError("a beat needs its job's id")
        for _ in range(SWAP_TRIES):
            item = self._item(job_id, JOB)
            before = JobRecord.model_validate(item) if item else None
            after = advance(before, news)
            if after is None or after == before or self._swap(after, _version(item)):
                return after
        raise TimeoutError(f"the row of {job_id} changed {SWAP_TRIES} times while it was being written")

    def version(self, job_id: str) -> int:
        """How often the job's row was written; 0 when there is none."""
        return _version(self._item(job_id, JOB))

    def replace(self, job_id: str, manifests: Iterable[AnyManifest], version: int) -> bool:
        """Put in the place of the job's row what `manifests` say, whatever it held; claims and marks stay.

        Returns False, and writes nothing, when the row was written since it had that `version`.
        """
        row: JobRecord | None = None
        for manifest in manifests:
            row = advance(row, manifest)
        if row is None:
            raise ValueError(f"no manifest of {job_id} to make a row from")
        return self._swap(row, version)

    def claim(self, job_id: str, stage: StageName, etag: str, holder: str, attempt: int) -> Claim:
        """Ask for the right to do a stage on an input.

        Granted when nobody has it, when the holder asks again (a Batch retry keeps its id), or when the lease ran out.
        """
        names = {"#work": "work", "#holder": "holder"}
        try:
            self.table.update_item(
                Key=_key(job_id, stage),
                UpdateExpression="SET #work = :working, input_etag = :etag, #holder = :holder, attempt = :attempt,"
                " lease_until = :lease ADD claims :one REMOVE failure",
                ConditionExpression="attribute_not_exists(#holder) OR ((#holder = :holder OR lease_until < :now)"
                " AND NOT (#work = :done AND input_etag = :etag))",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={
                    ":working": Work.WORKING.value,
                    ":done": Work.DONE.value,
                    ":etag": etag,
                    ":holder": holder,
                    ":attempt": attempt,
                    ":lease": self._lease(),
                    ":now": _decimal(self.clock()),
                    ":one": 1,
                },
            )
        except ClientError as error:
            if not _refused(error):
                raise
            row = self.stages(job_id).get(stage)
            return Claim.DONE if row and row.work is Work.DONE and row.input_etag == etag else Claim.BUSY
        return Claim.GRANTED

    def renew(self, job_id: str, stage: StageName, holder: str, spent: float) -> bool:
        """Keep a claim for another lease, after `spent` seconds of all tries. False when it is another's now."""
        values = {":lease": self._lease(), ":spent": _decimal(spent)}
        return self._if_held(job_id, stage, holder, "SET lease_until = :lease, spent = :spent", values)

    def finish(self, job_id: str, stage: StageName, holder: str) -> bool:
        """Note that the stage's manifest is written."""
        return self._if_held(
            job_id, stage, holder, "SET #work = :done, lease_until = :zero", {":done": "DONE", ":zero": 0}
        )

    def release(self, job_id: str, stage: StageName, holder: str, spent: float, failure: Failure | None = None) -> bool:
        """Give a claim back, so that the next try need not wait for the lease; `failure` says why."""
        values: dict[str, Any] = {":released": Work.RELEASED.value, ":zero": 0, ":spent": _decimal(spent)}
        expression = "SET #work = :released, lease_until = :zero, spent = :spent"
        if failure:
            expression += ", failure = :failure"
            values[":failure"] = failure.model_dump(mode="json")
        return self._if_held(job_id, stage, holder, expression, values)

    def count_nudge(self, job_id: str, stage: StageName) -> int:
        """Count one more attempt to wake a stage; returns how many there were."""
        answer = self.table.update_item(
            Key={"job_id": job_id, "record": f"nudges#{stage.value}"},
            UpdateExpression="ADD nudges :one",
            ExpressionAttributeValues={":one": 1},
            ReturnValues="UPDATED_NEW",
        )
        return int(str(answer["Attributes"]["nudges"]))

    def _if_held(self, job_id: str, stage: StageName, holder: str, update: str, values: dict[str, Any]) -> bool:
        names = {"#holder": "holder", "#work": "work"}
        try:
            self.table.update_item(
                Key=_key(job_id, stage),
                UpdateExpression=update,
                ConditionExpression="#holder = :holder AND #work = :working",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values | {":holder": holder, ":working": Work.WORKING.value},
            )
        except ClientError as error:
            if not _refused(error):
                raise
            return False
        return True

    def _swap(self, after: JobRecord, old: int) -> bool:
        body = after.model_dump(mode="json", exclude_none=True)
        item = {name: _decimal(value) for name, value in body.items()} | {"version": old + 1}
        condition = "version = :old" if old else "attribute_not_exists(job_id)"
        values: dict[str, Any] = {"ExpressionAttributeValues": {":old": old}} if old else {}
        try:
            self.table.put_item(Item=item, ConditionExpression=condition, **values)
        except ClientError as error:
            if not _refused(error):
                raise
            return False
        return True

    def _newest(self, index: str, condition: Any, limit: int) -> list[JobRecord]:
        answer = self.table.query(
            IndexName=index, KeyConditionExpression=condition, ScanIndexForward=False, Limit=limit
        )
        return [JobRecord.model_validate(_plain(item)) for item in answer["Items"]]

    def _item(self, job_id: str, record: str) -> dict[str, Any] | None:
        answer = self.table.get_item(Key={"job_id": job_id, "record": record}, ConsistentRead=True)
        return _plain(answer["Item"]) if "Item" in answer else None

    def _lease(self) -> Any:
        return _decimal(self.clock() + LEASE_SECONDS)


def _key(job_id: str, stage: StageName) -> dict[str, Any]:
    return {"job_id": job_id, "record": f"stage#{stage.value}"}


def _version(item: dict[str, Any] | None) -> int:
    return int(item["version"]) if item else 0


def _refused(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"


def _decimal(value: Any) -> Any:
    """DynamoDB holds decimals, not floats."""
    match value:
        case float():
            return Decimal(str(round(value, 6)))
        case dict():
            return {name: _decimal(part) for name, part in value.items()}
        case list():
            return [_decimal(part) for part in value]
    return value


def _plain(value: Any) -> Any:
    """The way back: whole decimals become int, others float."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case list():
            return [_plain(part) for part in value]
    return value

"""The jobs that the sweeper looks at: those whose rows were not written for long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from boto3.dynamodb.conditions import Key

from spaceport.pipeline.contract import JobState
from spaceport.pipeline.jobs.state import END_STATES
from spaceport.pipeline.jobs.table import JobTable


def silent_jobs(table: JobTable, since: datetime) -> Iterator[str]:
    """Ids of unfinished jobs whose row was not written after `since`, in each state the longest silent first."""
    last = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")  # as in the rows, without the milliseconds
    for state in JobState:
        if state not in END_STATES:
            yield from _in_state(table, state, last)


def _in_state(table: JobTable, state: JobState, last: str) -> Iterator[str]:
    start: dict[str, Any] = {}
    while True:
        response = table.table.query(
            IndexName="by_state",
            KeyConditionExpression=Key("state").eq(state.value) & Key("updated_at").lt(last),
            ProjectionExpression="job_id",
            **start,
        )
        yield from (str(item["job_id"]) for item in response["Items"])
        if "LastEvaluatedKey" not in response:
            return
        start = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

"""A deployment for the functions' tests: their environment on the in-process S3 and DynamoDB, events, and a Batch."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from functions import clients
from spaceport.pipeline.layout import TENANTS
from spaceport.pipeline.storage import Bucket

EVENTS = Path(__file__).parents[2] / "events"


def deploy(patch: pytest.MonkeyPatch, **more: str) -> None:
    """Point the functions at the buckets and the table of conftest.py."""
    loaded = {"PIPELINE_BUCKET": "pipeline", "UPLOADS_BUCKET": "uploads", "TABLE": "jobs", "QUEUES": "cpu,gpu"}
    for name, value in (loaded | more).items():
        patch.setenv(f"SPACEPORT_{name}", value)
    for made_once in (clients.s3, clients.bucket, clients.uploads, clients.table, clients.batch, clients._read_tenants):
        made_once.cache_clear()


def sent() -> list[Any]:
    """The mails that the mocked SES has sent, as moto keeps them."""
    return list(ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages)


def event(name: str, key: str | None = None, version: str | None = None) -> dict[str, Any]:
    """A golden event, for another key if one is given: of its version, or of whichever is the latest."""
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    if key and "object" in loaded["detail"]:
        loaded["detail"]["object"] |= {"key": key, "version-id": version}
    elif key:
        loaded["detail"]["parameters"]["key"] = key
    return loaded


def call(name: str, body: Any = None, **changes: Any) -> dict[str, Any]:
    """A golden API request, with another body."""
    loaded = copy.deepcopy(event(name)) | changes
    if body is not None:
        loaded["body"] = body if isinstance(body, str) else json.dumps(body)
    return loaded


def put_tenants(bucket: Bucket, tenants: dict[str, Any]) -> None:
    """Declare tenants, as an operator does."""
    bucket.put_small(TENANTS, json.dumps({"tenants": tenants}).encode())
    clients._read_tenants.cache_clear()


@dataclass
class Context:
    """What Lambda hands a handler beside the event."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    left: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left


def milliseconds(time: datetime) -> int:
    """As Batch writes times."""
    return int(time.timestamp() * 1000)


@dataclass
class Batch:
    """The calls of Batch that the functions make, on jobs kept in memory. `jobs`: queue to Batch jobs."""

    jobs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    terminated: list[str] = field(default_factory=list)

    def add(
        self, queue: str, batch_id: str, key: str, status: str = "RUNNABLE", started_at: datetime | None = None
    ) -> None:
        job: dict[str, Any] = {"jobId": batch_id, "jobQueue": queue, "status": status, "parameters": {"key": key}}
        if started_at:
            job["startedAt"] = milliseconds(started_at)
        self.jobs.setdefault(queue, []).append(job)

    def get_paginator(self, operation: str) -> Batch:
        assert operation == "list_jobs"
        return self

    def paginate(self, jobQueue: str, jobStatus: str) -> Iterator[dict[str, Any]]:  # Batch's own names
        for job in self.jobs.get(jobQueue, []):
            if job["status"] == jobStatus:
                yield {"jobSummaryList": [{"jobId": job["jobId"]}]}

    def describe_jobs(self, jobs: list[str]) -> dict[str, Any]:
        return {"jobs": [job for queue in self.jobs.values() for job in queue if job["jobId"] in jobs]}

    def terminate_job(self, jobId: str, reason: str) -> None:
        assert reason
        self.terminated.append(jobId)

"""An in-process S3 and DynamoDB for unit tests, with the shape of the template's table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket


@pytest.fixture(autouse=True)
def _fake_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture(scope="session", autouse=True)
def _clients_are_made_once() -> Iterator[None]:
    """Building a boto3 client takes a quarter of a second, so all tests share them; the mocked account stays new."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", cache(boto3.client))
        patch.setattr(boto3, "resource", cache(boto3.resource))
        yield


@pytest.fixture(scope="session", autouse=True)
def _calls_are_atomic() -> Iterator[None]:
    """AWS applies each call as a whole. moto changes its rows step by step, which mixes the calls of two threads."""
    lock, answer = threading.RLock(), BotocoreStubber.__call__

    def answer_alone(stubber: BotocoreStubber, event_name: str, request: Any, **more: Any) -> Any:
        with lock:
            return answer(stubber, event_name, request, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BotocoreStubber, "__call__", answer_alone)
        yield


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def bucket(aws: None) -> Bucket:
    boto3.client("s3").create_bucket(Bucket="pipeline")
    return Bucket("pipeline")


@pytest.fixture
def uploads(aws: None) -> Bucket:
    boto3.client("s3").create_bucket(Bucket="uploads")
    boto3.client("s3").put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
    return Bucket("uploads")


def index(name: str, attribute: str) -> Any:
    keys = [{"AttributeName": attribute, "KeyType": "HASH"}, {"AttributeName": "updated_at", "KeyType": "RANGE"}]
    return {"IndexName": name, "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}


@pytest.fixture
def table(aws: None) -> JobTable:
    boto3.client("dynamodb").create_table(
        TableName="jobs",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "job_id", "KeyType": "HASH"},
            {"AttributeName": "record", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"}
            for name in ("job_id", "record", "state", "owner", "tenant", "updated_at")
        ],
        GlobalSecondaryIndexes=[index("by_state", "state"), index("by_owner", "owner"), index("by_tenant", "tenant")],
    )
    return JobTable("jobs")

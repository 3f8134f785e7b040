"""The table that the template makes is the one that `JobTable` and the tests' table expect."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto import mock_aws
from template import EVENTS, of_type

from spaceport.pipeline.contract import JobState
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.reports.schemas import schemas


def test_the_table_keeps_its_past_and_bills_by_use() -> None:
    properties = of_type("AWS::DynamoDB::Table")["JobTable"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True


def test_job_table_finds_its_keys_and_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    properties: dict[str, Any] = of_type("AWS::DynamoDB::Table")["JobTable"]
    names = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    with mock_aws():
        resource = boto3.resource("dynamodb", region_name="us-east-1")
        resource.create_table(**{name: properties[name] for name in names})
        table = JobTable(properties["TableName"], resource)
        assert table.get("no-such-job") is None
        assert table.stages("no-such-job") == {}
        assert table.by_state(JobState.RECEIVED) == []
        assert table.page_of_tenant("default", 10) == ([], None)
        assert table.page_of_tenant("default", 10, owner="nobody") == ([], None)


def test_the_schemas_beside_the_events_are_the_models() -> None:
    assert {path.name: path.read_text() for path in EVENTS.glob("*.schema.json")} == schemas()

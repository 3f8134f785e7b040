"""Names in every partition, region and length of the stack's name that we promise."""

from __future__ import annotations

import re

import pytest
from template import ROOT, raw

TEXT = (ROOT / "template.yaml").read_text()
LONGEST_STACK = 26  # characters, as README.md says
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-1", "us-gov-west-1", "cn-northwest-1"]
MAX_BYTES = {"BucketName": 63, "TableName": 255, "LogGroupName": 512, "DashboardName": 255}


def names() -> list[tuple[str, str]]:
    """Kind and form of every name that the template gives."""
    return [
        (kind, form)
        for resource in raw()["Resources"].values()
        for kind, value in resource.get("Properties", {}).items()
        if kind in MAX_BYTES
        for form in [value["Fn::Sub"] if "Fn::Sub" in value else f"${{{value['Ref']}}}"]
        if "${AWS::" in form  # not another resource's
    ]


@pytest.mark.parametrize("region", REGIONS)
def test_the_longest_stack_name_fits_everywhere(region: str) -> None:
    filled = {"AWS::StackName": "s" * LONGEST_STACK, "AWS::AccountId": "1" * 12, "AWS::Region": region}
    for kind, form in names():
        name = re.sub(r"\$\{([^}]+)\}", lambda part: filled[part[1]], form)
        assert len(name) <= MAX_BYTES[kind]
    assert str(LONGEST_STACK) in (ROOT / "README.md").read_text()


def test_two_stacks_of_one_account_share_no_name() -> None:
    assert len(names()) >= 6
    assert all("${AWS::StackName}" in form for _, form in names())


def test_no_partition_is_written_down() -> None:
    assert "arn:aws:" not in TEXT
    assert "amazonaws.com/" not in TEXT, "another partition has another suffix: AWS::URLSuffix"

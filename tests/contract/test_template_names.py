"""Names in every partition, region and length of the stack's name that we promise."""

from __future__ import annotations

import re

from boto3.session import Session
from template import ROOT, raw

from spaceport.cli.preflight.stack_name import MAX_CHARACTERS

TEXT = (ROOT / "template.yaml").read_text()
PARTITIONS = ("aws", "aws-cn", "aws-us-gov")
REGIONS = [region for partition in PARTITIONS for region in Session().get_available_regions("s3", partition)]
MAX_BYTES = {"BucketName": 63, "TableName": 255, "LogGroupName": 512, "DashboardName": 255}
MAX_BYTES |= {"TrailName": 128, "AliasName": 256, "BudgetName": 100}
MAX_RULE = 64
SUFFIX = len("-ABCDEFGHIJKLM")  # what CloudFormation appends to names that it makes itself


def names() -> list[tuple[str, str]]:
    """Kind and form of every name that the template gives."""
    return [
        (kind, form)
        for resource in raw()["Resources"].values()
        for properties in [resource.get("Properties", {})]
        for kind, value in (properties | properties.get("Budget", {})).items()
        if kind in MAX_BYTES
        for form in [value["Fn::Sub"] if "Fn::Sub" in value else f"${{{value['Ref']}}}"]
        if "${AWS::" in form  # not another resource's
    ]


def room(region: str) -> int:
    """How many characters of a stack's name all names have room for."""
    filled = {"AWS::StackName": "", "AWS::AccountId": "1" * 12, "AWS::Region": region}
    return min(
        MAX_BYTES[kind] - len(re.sub(r"\$\{([^}]+)\}", lambda part: filled[part[1]], form)) for kind, form in names()
    )


def test_the_longest_stack_name_fits_in_every_region_and_no_longer_one_does() -> None:
    """No rule of the template can say so: CloudFormation's have no function for a length or for a letter's case. The
    documents do, and `spaceport doctor --stack` (test_preflight.py)."""
    assert len(REGIONS) > 30
    assert min(map(room, REGIONS)) == MAX_CHARACTERS
    for document in ("README.md", "samconfig.toml", "docs/operations.md"):
        assert f"{MAX_CHARACTERS} characters" in (ROOT / document).read_text(), document


def test_the_names_of_rules_begin_with_the_whole_name_of_the_stack() -> None:
    """CloudFormation would cut it otherwise, and the dead letters' policy would fit no rule."""
    rules = [name for name, resource in raw()["Resources"].items() if resource["Type"] == "AWS::Events::Rule"]
    assert MAX_CHARACTERS + 1 + max(map(len, rules)) + SUFFIX <= MAX_RULE


def test_two_stacks_of_one_account_share_no_name() -> None:
    assert {kind for kind, _ in names()} == set(MAX_BYTES)
    assert all("${AWS::StackName}" in form for _, form in names())


def test_no_partition_is_written_down() -> None:
    assert "arn:aws:" not in TEXT
    assert "amazonaws.com/" not in TEXT, "another partition has another suffix: AWS::URLSuffix"

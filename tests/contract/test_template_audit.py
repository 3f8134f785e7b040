"""What an operator can switch on: CloudTrail, logs of the API, a key of the stack, a web ACL. All are off at first."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from template import NAMES, ROOT, STACK, of_type, raw, resources

SWITCHES = {"Audit": "HasAudit", "ApiAccessLogs": "HasAccessLogs", "OwnKey": "HasKey"}
CONDITIONS = {
    "AuditBucket": "HasAudit",
    "AuditPolicy": "HasAudit",
    "Trail": "HasAudit",
    "AccessLogs": "HasAccessLogs",
    "WebAcl": "HasWebAcl",
    "UserWebAcl": "HasUsersAndWebAcl",
    "DataKey": "HasKey",
    "DataKeyAlias": "HasKey",
    "DataKeyUse": "HasKey",
}
WITH_DATA = ("AWS::Lambda::Function", "AWS::Batch::JobDefinition", "AWS::CodeBuild::Project")
"""Whose roles read and write objects or rows."""


def with_key(value: Any) -> Any:
    """As it is with `OwnKey=true`."""
    match value:
        case {"Fn::If": ["HasKey", on, _]}:
            return with_key(on)
        case dict():
            return {name: with_key(part) for name, part in value.items()}
        case list():
            return [with_key(part) for part in value]
    return value


@pytest.mark.parametrize("parameter", sorted(SWITCHES))
def test_it_is_off_until_it_is_switched_on(parameter: str) -> None:
    declared = raw()["Parameters"][parameter]
    assert (declared["Default"], declared["AllowedValues"]) == ("false", ["true", "false"])
    assert raw()["Conditions"][SWITCHES[parameter]] == {"Fn::Equals": [{"Ref": parameter}, "true"]}


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_what_is_off_is_not_there(name: str) -> None:
    assert raw()["Resources"][name]["Condition"] == CONDITIONS[name]


def test_the_trail_records_every_object_of_both_buckets_and_nothing_else() -> None:
    (trail,) = of_type("AWS::CloudTrail::Trail").values()
    (selector,) = trail["AdvancedEventSelectors"]
    fields = {each["Field"]: each.get("Equals") or each["StartsWith"] for each in selector["FieldSelectors"]}
    assert fields == {
        "eventCategory": ["Data"],
        "resources.type": ["AWS::S3::Object"],
        "resources.ARN": [f"arn:aws:s3:::{NAMES[name]}/" for name in ("UploadsBucket", "PipelineBucket")],
    }
    assert trail["EnableLogFileValidation"] and trail["IsLogging"]


def test_only_our_trail_writes_into_its_bucket() -> None:
    deny, looks, writes = of_type("AWS::S3::BucketPolicy")["AuditPolicy"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    for statement, action in ((looks, "s3:GetBucketAcl"), (writes, "s3:PutObject")):
        assert statement["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        assert statement["Action"] == action
        trail = f"arn:aws:cloudtrail:us-east-1:123456789012:trail/{STACK}"
        assert statement["Condition"] == {"StringEquals": {"aws:SourceArn": trail}}
    assert of_type("AWS::CloudTrail::Trail")["Trail"]["TrailName"] == STACK
    bucket = of_type("AWS::S3::Bucket")["AuditBucket"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == "KeepAuditDays"


def test_logs_of_the_api_hold_no_key_no_query_and_no_body() -> None:
    setting = raw()["Resources"]["Api"]["Properties"]["AccessLogSetting"]["Fn::If"]
    assert (setting[0], setting[2]) == ("HasAccessLogs", {"Ref": "AWS::NoValue"})
    line = json.loads(setting[1]["Format"])
    variables = {value.removeprefix("$context.") for value in line.values()}
    assert "identity.apiKeyId" in variables  # which key, not the key
    secret = re.compile(r"apiKey$|path$(?<!resourcePath)|query|header|authorizer|body", re.IGNORECASE)
    assert not [name for name in variables if secret.search(name)]


def test_a_parameter_s_description_leads_to_the_runbook() -> None:
    text = raw()["Parameters"]["ApiAccessLogs"]["Description"]
    (title,) = re.findall(r"docs/operations\.md#([a-z-]+)", text)
    assert f"### {title.replace('-', ' ').capitalize()}".lower() in (ROOT / "docs/operations.md").read_text().lower()


def test_a_web_acl_stands_before_the_stage_of_the_api() -> None:
    acls = of_type("AWS::WAFv2::WebACLAssociation")
    assert set(acls) == {"WebAcl", "UserWebAcl"}
    assert {each["WebACLArn"] for each in acls.values()} == {"WebAclArn"}
    assert raw()["Conditions"]["HasUsersAndWebAcl"]["Fn::And"] == [
        {"Condition": "HasUsers"},
        {"Condition": "HasWebAcl"},
    ]
    pattern = raw()["Parameters"]["WebAclArn"]["AllowedPattern"]
    regional = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/limits/3f0c9a1b-0000-0000-0000-000000000000"
    assert re.fullmatch(pattern, regional) and re.fullmatch(pattern, "")
    assert re.fullmatch(pattern, regional.replace("arn:aws:", "arn:aws-us-gov:"))
    assert not re.fullmatch(pattern, regional.replace("regional", "global")), "those are CloudFront's"


def test_the_key_encrypts_all_that_holds_data() -> None:
    key = "arn:DataKey"
    for name in ("UploadsBucket", "PipelineBucket"):
        (rule,) = with_key(of_type("AWS::S3::Bucket")[name])["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        assert rule["BucketKeyEnabled"] is True
    table = with_key(of_type("AWS::DynamoDB::Table")["JobTable"])
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    for name in ("DeadEvents", "DeadInvocations"):
        queue = with_key(of_type("AWS::SQS::Queue")[name])
        assert (queue["KmsMasterKeyId"], queue["SqsManagedSseEnabled"]) == (key, "AWS::NoValue")
    assert with_key(of_type("AWS::SNS::Topic")["Operator"])["KmsMasterKeyId"] == key
    for group in of_type("AWS::Logs::LogGroup").values():
        assert with_key(group)["KmsKeyId"] == key


def test_whoever_touches_data_may_use_the_key_and_only_through_its_services() -> None:
    policy = resources()["DataKeyUse"]["Properties"]
    named = {each if isinstance(each, str) else each["Fn::If"][1] for each in policy["Roles"]}
    roles = {
        role
        for kind in WITH_DATA
        for each in of_type(kind).values()
        for role in [each.get("Role") or each.get("ServiceRole") or each["ContainerProperties"]["JobRoleArn"]]
    }
    assert {f"arn:{name}" for name in named} == roles
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert statement["Resource"] == "arn:DataKey"
    services = {each.split(".")[0] for each in statement["Condition"]["StringLike"]["kms:ViaService"]}
    assert services == {"s3", "dynamodb", "sqs"}


def test_of_services_only_those_that_write_for_us_may_use_the_key() -> None:
    properties = of_type("AWS::KMS::Key")["DataKey"]
    assert properties["EnableKeyRotation"] is True
    account, messages, logs = properties["KeyPolicy"]["Statement"]
    assert account["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert messages["Principal"] == {"Service": ["events.amazonaws.com", "cloudwatch.amazonaws.com"]}
    assert messages["Condition"] == {"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}}
    assert logs["Principal"]["Service"].startswith("logs.us-east-1.")
    (context,) = logs["Condition"]["ArnLike"].values()
    prefix = context.split(":log-group:")[1].removesuffix("*")
    for group in raw()["Resources"].values():
        if group["Type"] == "AWS::Logs::LogGroup":
            assert group["Properties"]["LogGroupName"]["Fn::Sub"].replace("${AWS::StackName}", STACK).startswith(prefix)


def test_the_key_outlives_the_stack_as_its_data_does() -> None:
    assert resources()["DataKey"]["DeletionPolicy"] == resources()["DataKey"]["UpdateReplacePolicy"] == "Retain"


def test_the_console_shows_every_parameter_in_one_group() -> None:
    groups = raw()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(raw()["Parameters"])

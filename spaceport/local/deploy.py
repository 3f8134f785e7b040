"""Deploys the translated template, and imports the buckets that an earlier run left."""

from __future__ import annotations

import json
import time
from typing import Any

from botocore.exceptions import ClientError

from spaceport.local.access import Access
from spaceport.local.translate import Translation

CODE_BUCKET = "spaceport-code"
CODE_KEY = "functions.zip"
CODE = {"Bucket": CODE_BUCKET, "Key": CODE_KEY}
TEMPLATE_KEY = "template.json"
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
WAIT_SECONDS = 300.0


class DeployFailed(RuntimeError):
    """The embedded cloud refused the template. `str` gives its reasons."""


def deploy(
    access: Access, stack: str, translation: Translation, code: bytes, parameters: dict[str, str]
) -> dict[str, str]:
    """Deploy a stack on a fresh embedded cloud whose buckets may already exist. Returns its outputs.

    Raises:
        DeployFailed: with what CloudFormation says of each resource that failed.
    """
    s3 = access.client("s3")
    cloudformation = access.client("cloudformation")
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    if CODE_BUCKET not in existing:
        s3.create_bucket(Bucket=CODE_BUCKET)
    s3.put_object(Bucket=CODE_BUCKET, Key=CODE_KEY, Body=code)
    stack_parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    imported = _import_buckets(cloudformation, stack, translation, existing)
    call = cloudformation.update_stack if imported else cloudformation.create_stack
    call(
        StackName=stack,
        TemplateURL=_upload(s3, access, translation.template),
        Parameters=stack_parameters,
        Capabilities=CAPABILITIES,
    )
    return _outputs(_wait_for_stack(cloudformation, stack))


def _upload(s3: Any, access: Access, template: dict[str, Any]) -> str:
    """Upload a template and return its URL: inline ones may have 51,200 bytes at most."""
    s3.put_object(Bucket=CODE_BUCKET, Key=TEMPLATE_KEY, Body=json.dumps(template).encode())
    return f"{access.endpoint}/{CODE_BUCKET}/{TEMPLATE_KEY}"


def _import_buckets(cloudformation: Any, stack: str, translation: Translation, existing: set[str]) -> bool:
    """Import the stack's existing buckets. They come without properties: the update that follows configures them."""
    buckets = {
        name: bucket for name in _buckets(translation) if (bucket := _bucket_name(translation, stack, name)) in existing
    }
    if not buckets:
        return False
    bare = {
        name: {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {"BucketName": bucket}}
        for name, bucket in buckets.items()
    }
    cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName="adopt",
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": bare}),
        ResourcesToImport=[
            {
                "ResourceType": "AWS::S3::Bucket",
                "LogicalResourceId": name,
                "ResourceIdentifier": {"BucketName": bucket},
            }
            for name, bucket in buckets.items()
        ],
    )
    _wait_until(
        lambda: cloudformation.describe_change_set(StackName=stack, ChangeSetName="adopt")["Status"], "CREATE_COMPLETE"
    )
    cloudformation.execute_change_set(StackName=stack, ChangeSetName="adopt")
    _wait_for_stack(cloudformation, stack)
    return True


def _buckets(translation: Translation) -> list[str]:
    resources = translation.template["Resources"]
    return [name for name, resource in resources.items() if resource["Type"] == "AWS::S3::Bucket"]


def _bucket_name(translation: Translation, stack: str, name: str) -> str:
    """A bucket's name, from the few variables that our template uses for it."""
    bucket = translation.template["Resources"][name]["Properties"]["BucketName"]["Fn::Sub"]
    variables = {"AWS::StackName": stack, "AWS::AccountId": "000000000000", "AWS::Region": "us-east-1"}
    for variable, value in variables.items():
        bucket = bucket.replace(f"${{{variable}}}", value)
    return str(bucket)


def _wait_until(read_status: Any, expected: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while (status := read_status()) != expected:
        if time.monotonic() > deadline or status.endswith("FAILED"):
            raise DeployFailed(f"the change set is {status}")
        time.sleep(0.05)


def _wait_for_stack(cloudformation: Any, stack: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        description: dict[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        status = description["StackStatus"]
        if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}:
            return description
        if "FAILED" in status or "ROLLBACK" in status or time.monotonic() > deadline:
            raise DeployFailed(f"the stack is {status}: {_reasons(cloudformation, stack)}")
        time.sleep(0.05)


def _reasons(cloudformation: Any, stack: str) -> str:
    try:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    except ClientError as error:
        return str(error)
    failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
    return "; ".join(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in failed)


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}

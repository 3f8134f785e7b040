"""What a request asks of AWS, as IAM names it: actions, resources and condition keys.

Only of the services that the template's roles may call. Any other call of theirs has an action that no role has, so it
is refused until it is added here. Which request is which S3 action is ministack's table of AWS's reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import parse_qs, unquote
from xml.etree.ElementTree import ParseError

from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]  # ministack brings it
from ministack.core.iam_actions import _s3_action

from spaceport.local.access import ACCOUNT, REGION
from spaceport.local.signatures import SignedRequest

LIST: Final = "s3:ListBucket"
OBJECT_READS: Final = frozenset({"s3:GetObject", "s3:GetObjectVersion"})
BATCH_ACTIONS: Final = {
    "/v1/submitjob": "SubmitJob",
    "/v1/describejobs": "DescribeJobs",
    "/v1/listjobs": "ListJobs",
    "/v1/terminatejob": "TerminateJob",
}
_EQUALITY: Final = re.compile(r"(#?\w+)\s*=\s*(:\w+)")

PartitionKey = Callable[[str, str | None], str]
"""The name of the partition key of a table, or of one of its indexes."""


@dataclass(frozen=True)
class Call:
    """An action on a resource, with the condition keys of the request in lower case."""

    action: str
    resource: str
    keys: dict[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        keys = "".join(f", {name} {value}" for name, value in self.keys.items())
        return f"{self.action} on {self.resource}{keys}"


def s3_calls(request: SignedRequest) -> list[Call]:
    """Those of a request of S3, whose body says nothing."""
    bucket, _, key = unquote(request.raw_path).lstrip("/").partition("/")
    query = {name: values[0] for name, values in request.query.items()}
    action = f"s3:{_s3_action(request.method, request.raw_path, request.query)}"
    resource = object_arn(bucket, key) if key else bucket_arn(bucket)
    calls = [Call(action, resource, {"s3:prefix": query["prefix"]} if "prefix" in query else {})]
    if request.headers.get("x-amz-tagging"):
        calls.append(Call("s3:PutObjectTagging", resource))
    source = request.headers.get("x-amz-copy-source")
    if source:
        calls.append(Call("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}"))
    return calls


def is_delete_objects(request: SignedRequest) -> bool:
    """Whether a request of S3 is DeleteObjects, the one whose body says what it is about."""
    return request.method == "POST" and "delete" in request.query


def delete_calls(request: SignedRequest, body: bytes) -> list[Call]:
    """Those of DeleteObjects: one for each object, or version of one.

    Raises:
        ValueError: it is none.
    """
    bucket = unquote(request.raw_path).strip("/")
    try:
        entries = [each for each in fromstring(body) if each.tag.endswith("Object")]
    except ParseError as error:
        raise ValueError(str(error)) from error
    calls = []
    for entry in entries:
        parts = {part.tag.rpartition("}")[2]: part.text or "" for part in entry}
        action = "s3:DeleteObjectVersion" if parts.get("VersionId") else "s3:DeleteObject"
        calls.append(Call(action, object_arn(bucket, parts["Key"])))
    if not calls:
        raise ValueError("no object is named")
    return calls


def form_calls(request: SignedRequest, fields: dict[str, str]) -> list[Call]:
    """Those of an upload by form."""
    return [Call("s3:PutObject", object_arn(unquote(request.raw_path).strip("/"), fields.get("key", "")))]


def json_calls(request: SignedRequest, service: str, body: bytes, partition_key: PartitionKey) -> list[Call]:
    """Those of a request of another service.

    Raises:
        ValueError: it is none.
    """
    match service:
        case "dynamodb":
            return [_dynamodb_call(request.headers.get("x-amz-target", ""), json.loads(body), partition_key)]
        case "ses":
            return [_ses_call(parse_qs(body.decode()))]
        case "batch":
            return list(_batch_calls(request.raw_path, json.loads(body or b"{}")))
    return [Call(f"{service}:{request.headers.get('x-amz-target') or request.raw_path}", "*")]


def bucket_arn(bucket: str) -> str:
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    return f"{bucket_arn(bucket)}/{key}"


def _dynamodb_call(target: str, body: dict[str, Any], partition_key: PartitionKey) -> Call:
    table, index = str(body.get("TableName")), body.get("IndexName")
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}" + (f"/index/{index}" if index else "")
    leading = _leading_keys(body, partition_key(table, index))
    return Call(f"dynamodb:{target.rpartition('.')[2]}", arn, {"dynamodb:leadingkeys": leading} if leading else {})


def _leading_keys(body: dict[str, Any], name: str) -> list[str]:
    """The values of the partition key `name` that a request reads or writes, one at most; as DynamoDB documents it."""
    names, values = body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {})
    for each, value in _EQUALITY.findall(body.get("KeyConditionExpression", "")):
        if names.get(each, each) == name:
            return [*values[value].values()]
    item: dict[str, dict[str, str]] = body.get("Key") or body.get("Item") or {}
    return [*item[name].values()] if name in item else []


def _ses_call(form: dict[str, list[str]]) -> Call:
    sender = parseaddr(form.get("Source", [""])[0])[1]
    arn = f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{sender}"
    return Call(f"ses:{form.get('Action', [''])[0]}", arn, {"ses:fromaddress": sender})


def _batch_calls(path: str, body: dict[str, Any]) -> Iterator[Call]:
    action = f"batch:{BATCH_ACTIONS.get(path, path)}"
    match action:
        case "batch:TerminateJob":
            yield Call(action, f"arn:aws:batch:{REGION}:{ACCOUNT}:job/{body.get('jobId')}")
        case "batch:SubmitJob":
            yield Call(action, str(body.get("jobQueue")))
            yield Call(action, str(body.get("jobDefinition")))
        case _:
            yield Call(action, "*")

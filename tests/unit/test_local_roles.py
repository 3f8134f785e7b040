"""Roles in the embedded cloud: what boto3 sends with a role's credentials gets in if the role's policies allow it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from door_cases import ACCESS, Sent, a_door, form, presigned, request, signed_by_boto3
from hypothesis import given
from hypothesis import strategies as st

from spaceport.local.access import ACCOUNT, role_secret
from spaceport.local.calls import Call, delete_calls
from spaceport.local.roles import Roles, rights_of
from spaceport.local.signatures import SignedRequest

STAGE = ACCESS.as_role("spaceport-StageRole-1A2B")
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/jobs"
ROW = {"job_id": {"S": "audit#acme"}, "record": {"S": "job"}}
MAIL: dict[str, Any] = {
    "Destination": {"ToAddresses": ["a@b.example"]},
    "Message": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}},
}


def allow(action: str | list[str], resource: str | list[str], **condition: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition}]}


def answer(sent: Sent, *policies: Any, status: int = 200) -> tuple[int, bytes]:
    """What a client gets: of the cloud, which says `status`, or of the door before it."""
    got: list[Any] = []
    messages = iter([{"type": "http.request", "body": sent.body, "more_body": False}])

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"of the cloud"})

    async def send(message: Any) -> None:
        got.append(message)

    asyncio.run(a_door(app, policies)(sent.scope(), receive, send))
    assert [message["type"] for message in got] == ["http.response.start", "http.response.body"]
    return got[0]["status"], got[1]["body"]


def is_allowed(sent: Sent, *policies: Any) -> bool:
    status, body = answer(sent, *policies)
    assert (status, body == b"of the cloud") in {(200, True), (403, False)}
    return status == 200


S3, DB = "s3", "dynamodb"
PHOTO, ROLE_ROWS = {"Bucket": "b", "Key": "jobs/j/a b/é+%.jpg"}, {"TableName": "jobs", "Key": ROW}


@pytest.mark.parametrize(
    ("service", "call", "arguments", "action", "resource"),
    [
        (S3, "get_object", PHOTO, "s3:GetObject", "arn:aws:s3:::b/jobs/*/a b/é+%.jpg"),
        (S3, "head_object", PHOTO, "s3:GetObject", "arn:aws:s3:::b/jobs/*"),
        (S3, "get_object", PHOTO | {"VersionId": "1"}, "s3:GetObjectVersion", "arn:aws:s3:::b/jobs/*"),
        (S3, "put_object", PHOTO | {"Body": b"PK"}, "s3:PutObject", "arn:aws:s3:::b/jobs/*"),
        (S3, "create_multipart_upload", PHOTO, "s3:PutObject", "arn:aws:s3:::b/jobs/*"),
        (
            S3,
            "upload_part",
            PHOTO | {"Body": b"", "UploadId": "1", "PartNumber": 1},
            "s3:PutObject",
            "arn:aws:s3:::b/*",
        ),
        (S3, "complete_multipart_upload", PHOTO | {"UploadId": "1"}, "s3:PutObject", "arn:aws:s3:::b/*"),
        (S3, "abort_multipart_upload", PHOTO | {"UploadId": "1"}, "s3:AbortMultipartUpload", "arn:aws:s3:::b/*"),
        (S3, "delete_object", PHOTO, "s3:DeleteObject", "arn:aws:s3:::b/*"),
        (S3, "delete_object", PHOTO | {"VersionId": "1"}, "s3:DeleteObjectVersion", "arn:aws:s3:::b/*"),
        (S3, "list_objects_v2", {"Bucket": "b", "Prefix": "jobs/"}, "s3:ListBucket", "arn:aws:s3:::b"),
        (DB, "get_item", ROLE_ROWS, "dynamodb:GetItem", TABLE),
        (DB, "query", {"TableName": "jobs", "IndexName": "by_state"}, "dynamodb:Query", f"{TABLE}/index/by_state"),
        ("ses", "send_email", MAIL | {"Source": "S <s@b.example>"}, "ses:SendEmail", "arn:aws:ses:*:identity/s@*"),
    ],
)
def test_a_call_needs_its_action_on_its_resource(
    service: str, call: str, arguments: dict[str, Any], action: str, resource: str
) -> None:
    sent = signed_by_boto3(STAGE, service, call, **arguments)
    assert is_allowed(sent, allow(action, resource))
    assert is_allowed(sent, allow("s3:Other", "*"), allow([action, "s3:Other"], ["arn:aws:s3:::other", resource]))
    assert not is_allowed(sent)
    assert not is_allowed(sent, allow(f"{action}X", "*"))
    assert not is_allowed(sent, allow(action, f"{resource}/other"))
    assert is_allowed(signed_by_boto3(ACCESS, service, call, **arguments)), "the owner may do anything"


def test_a_tag_needs_its_own_right() -> None:
    sent = signed_by_boto3(STAGE, "s3", "put_object", **PHOTO, Tagging="content=photos")
    assert not is_allowed(sent, allow("s3:PutObject", "*"))
    assert is_allowed(sent, allow(["s3:PutObject", "s3:PutObjectTagging"], "*"))


def test_a_copy_needs_to_read_its_source() -> None:
    sent = signed_by_boto3(STAGE, "s3", "copy_object", **PHOTO, CopySource="other/secret key")
    assert not is_allowed(sent, allow("s3:PutObject", "*"))
    assert is_allowed(sent, allow("s3:PutObject", "*"), allow("s3:GetObject", "arn:aws:s3:::other/secret key"))


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        (S3, "list_buckets", {}),
        (DB, "transact_write_items", {"TransactItems": [{"Delete": {"TableName": "jobs", "Key": ROW}}]}),
        (DB, "batch_get_item", {"RequestItems": {"jobs": {"Keys": [ROW]}}}),
        ("lambda", "list_functions", {}),
        ("sqs", "list_queues", {}),
        ("iam", "list_roles", {}),
    ],
)
def test_calls_that_are_not_read_are_refused(service: str, call: str, arguments: dict[str, Any]) -> None:
    every = ["s3:DeleteObject", "dynamodb:DeleteItem", "dynamodb:GetItem", "lambda:ListFunctions", "sqs:ListQueues"]
    assert not is_allowed(signed_by_boto3(STAGE, service, call, **arguments), allow([*every, "iam:ListRoles"], "*"))


NO_AUDIT = {"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["audit#*"]}}
AUDIT = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["audit#*"]}}
ACTIONS = [f"dynamodb:{each}" for each in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")]


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_item", {"Key": ROW}),
        ("delete_item", {"Key": ROW}),
        ("put_item", {"Item": ROW}),
        ("update_item", {"Key": ROW}),
        (
            "query",
            {
                "KeyConditionExpression": "#r = :r AND #j = :j",
                "ExpressionAttributeNames": {"#r": "record", "#j": "job_id"},
                "ExpressionAttributeValues": {":r": {"S": "job"}, ":j": {"S": "audit#acme"}},
            },
        ),
        ("query", {"KeyConditionExpression": "job_id=:j", "ExpressionAttributeValues": {":j": {"S": "audit#acme"}}}),
    ],
)
def test_rows_by_their_partition(call: str, arguments: dict[str, Any]) -> None:
    sent = signed_by_boto3(STAGE, "dynamodb", call, TableName="jobs", **arguments)
    assert is_allowed(sent, allow(ACTIONS, TABLE, **AUDIT))
    assert not is_allowed(sent, allow(ACTIONS, TABLE, **NO_AUDIT))
    other = json.loads(json.dumps(arguments).replace("audit#acme", "a-job"))
    assert is_allowed(
        signed_by_boto3(STAGE, "dynamodb", call, TableName="jobs", **other), allow(ACTIONS, TABLE, **NO_AUDIT)
    )


def test_mails_by_their_sender() -> None:
    ours = allow("ses:SendEmail", "*", StringEquals={"ses:FromAddress": "us@b.example"})
    assert is_allowed(signed_by_boto3(STAGE, "ses", "send_email", **MAIL, Source="We <us@b.example>"), ours)
    assert not is_allowed(signed_by_boto3(STAGE, "ses", "send_email", **MAIL, Source="us <eve@c.example>"), ours)


def test_a_refusal_is_one_that_boto3_understands() -> None:
    status, body = answer(signed_by_boto3(STAGE, "s3", "get_object", **PHOTO))
    assert status == 403 and b"<Code>AccessDenied</Code>" in body
    assert STAGE.access_key.encode() in body and b"s3:GetObject" in body
    status, body = answer(signed_by_boto3(STAGE, "dynamodb", "get_item", **ROLE_ROWS))
    assert (status, json.loads(body)["__type"]) == (403, "AccessDeniedException")


def test_who_may_not_list_a_bucket_does_not_hear_what_is_missing() -> None:
    """As S3: without `s3:ListBucket` a missing object is a 403, which nothing of ours understands."""
    read = allow("s3:GetObject", "arn:aws:s3:::b/*")
    sent = signed_by_boto3(STAGE, "s3", "get_object", **PHOTO)
    assert answer(sent, read, allow("s3:ListBucket", "arn:aws:s3:::b"), status=404) == (404, b"of the cloud")
    status, body = answer(sent, read, allow("s3:ListBucket", "arn:aws:s3:::c"), status=404)
    assert status == 403 and b"s3:ListBucket" in body
    assert answer(sent, read, status=412)[0] == 412


def test_a_link_or_a_form_may_do_what_its_signer_may() -> None:
    link = presigned(STAGE)
    assert is_allowed(link, allow("s3:GetObject", "arn:aws:s3:::b/jobs/*"))
    assert not is_allowed(link, allow("s3:GetObject", "arn:aws:s3:::b/tenants*"))
    client = STAGE.session.client("s3", endpoint_url=STAGE.endpoint, config=Config(signature_version="s3v4"))
    sent = form(client.generate_presigned_post("uploads", "uploads/a.zip")["fields"])
    assert is_allowed(sent, allow("s3:PutObject", "arn:aws:s3:::uploads/uploads/*"))
    assert not is_allowed(sent, allow("s3:PutObject", "arn:aws:s3:::uploads/others/*"))


def test_a_role_has_a_secret_of_its_own() -> None:
    sent = signed_by_boto3(STAGE, "s3", "get_object", **PHOTO)
    other = STAGE.access_key.replace("Stage", "Other")
    (header,) = [value for name, value in sent.headers if name == "Authorization"]
    forged = sent.with_headers(authorization=header.replace(STAGE.access_key, other))
    assert not is_allowed(forged, allow("s3:GetObject", "*"))
    assert role_secret(ACCESS.secret, other) != STAGE.secret != ACCESS.secret
    assert not is_allowed(request("GET", "/_ministack/health", x_spaceport_secret=STAGE.secret))


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    ],
)
def test_statements_that_would_be_read_wrongly_are_an_error(statement: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not supported"):
        rights_of([{"Statement": statement}])


def test_each_kind_of_call_is_written_down_once(tmp_path: Path) -> None:
    roles = Roles(lambda _: [allow("s3:GetObject", ["a*", "ab*"])], tmp_path / "roles.jsonl")
    assert [roles.refused("r", [Call("s3:GetObject", key)]) is None for key in ("a1", "a2", "ab1", "c")] == [
        True,
        True,
        True,
        False,
    ]
    lines = [json.loads(line) for line in (tmp_path / "roles.jsonl").read_text().splitlines()]
    assert [(line["call"], [right[1] for right in line["rights"]]) for line in lines] == [
        ("s3:GetObject on a1", ["a*"]),
        ("s3:GetObject on ab1", ["a*", "ab*"]),
    ]


keys = st.text("ab/*?", min_size=1, max_size=6)


@given(keys, keys)
def test_only_wildcards_match_what_they_do_not_spell(pattern: str, key: str) -> None:
    right = rights_of([allow("s3:GetObject", pattern)])[0]
    assert right.allows(Call("s3:GetObject", key)) == matches(pattern, key)


def matches(pattern: str, text: str) -> bool:
    """IAM's wildcards, spelled out: `*` for any characters, `/` too, `?` for one."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in {"?", text[0]} and matches(pattern[1:], text[1:])


def test_deleting_many_objects_is_deleting_each() -> None:
    objects = [{"Key": "jobs/x & y", "VersionId": "3"}, {"Key": "jobs/z"}]
    sent = signed_by_boto3(STAGE, S3, "delete_objects", Bucket="b", Delete={"Objects": objects})
    both = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    assert is_allowed(sent, allow(both, "arn:aws:s3:::b/jobs/*"))
    assert is_allowed(sent, allow(both[0], "arn:aws:s3:::b/jobs/z"), allow(both[1], "arn:aws:s3:::b/jobs/x & y"))
    for too_little in (
        allow(both, "arn:aws:s3:::b/jobs/z"), allow(both[0], "*"), allow(both[1], "*"), allow(both, "arn:aws:s3:::b")
    ):  # fmt: skip
        assert not is_allowed(sent, too_little)
    request = SignedRequest("POST", "/b", {"delete": [""]}, {})
    for wrong in (b"", b"<Delete/>", b"<Delete><Object/></Delete>", b"<Delete><Object>"):
        with pytest.raises((ValueError, KeyError)):
            delete_calls(request, wrong)

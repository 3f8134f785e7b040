"""The door of the embedded cloud, without the cloud: what boto3 signs gets in; what is changed or made up does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.config import Config
from door_cases import ACCESS, PORT, SECRET, Sent, a_door, form, presigned, request, signed_by_boto3
from hypothesis import given
from hypothesis import strategies as st

from spaceport.local.access import SECRET_HEADER, Access, new_secret
from spaceport.local.door import MAX_FORM_HEAD


def through_the_door(sent: Sent) -> tuple[bool, bytes]:
    """Whether the request is let in, and the body that the cloud then reads."""
    chunks = [sent.body[at : at + 700] for at in range(0, len(sent.body), 700)] or [b""]
    messages = iter(
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    )
    read: list[bytes] = []
    answered: list[int] = []

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def app(_: Any, receive: Any, __: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            read.append(message["body"])
            if not message["more_body"]:
                break

    async def send(message: Any) -> None:
        if "status" in message:
            answered.append(message["status"])

    asyncio.run(a_door(app)(sent.scope(), receive, send))
    assert answered in ([], [403])
    return not answered, b"".join(read)


def is_let_in(sent: Sent) -> bool:
    let_in, body = through_the_door(sent)
    assert not let_in or body == sent.body, "what the door has read must reach the cloud"
    return let_in


STRANGER = Access(ACCESS.endpoint, ACCESS.batch_endpoint, new_secret())

CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "list": ("s3", "list_buckets", {}),
    "put": ("s3", "put_object", {"Bucket": "uploads", "Key": "uploads/a b+é%.zip", "Body": b"PK" * 900}),
    "get": ("s3", "get_object", {"Bucket": "uploads", "Key": "a//../b", "Range": "bytes=0-9"}),
    "versions": ("s3", "list_object_versions", {"Bucket": "uploads", "Prefix": "a b&c="}),
    "query": ("dynamodb", "scan", {"TableName": "jobs"}),
    "create": ("cloudformation", "create_stack", {"StackName": "evil", "TemplateBody": "{}"}),
    "receive": ("sqs", "receive_message", {"QueueUrl": f"{ACCESS.endpoint}/000000000000/q"}),
    "invoke": ("lambda", "invoke", {"FunctionName": "intake", "Payload": b"{}"}),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_boto3_signs_with_the_secret_gets_in_and_with_another_does_not(name: str) -> None:
    service, call, arguments = CALLS[name]
    assert is_let_in(signed_by_boto3(ACCESS, service, call, **arguments))
    assert not is_let_in(signed_by_boto3(STRANGER, service, call, **arguments))
    assert not is_let_in(signed_by_boto3(replace(ACCESS, secret="local"), service, call, **arguments))


@pytest.fixture(scope="module")
def put() -> Sent:
    return signed_by_boto3(ACCESS, "s3", "put_object", Bucket="b", Key="k.zip", Body=b"PK", Metadata={"owner": "me"})


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/b/other.zip"},
        {"method": "DELETE"},
        {"query": "versionId=1"},
    ],
)
def test_a_signature_is_good_for_its_request_alone(put: Sent, change: dict[str, Any]) -> None:
    assert is_let_in(put)
    assert not is_let_in(replace(put, **change))


def test_headers_that_decide_may_not_stand_twice(put: Sent) -> None:
    for name in ("Host", "Authorization", "x-amz-date", "x-amz-target", "Origin", SECRET_HEADER):
        value = dict(put.headers).get(name, "x")
        assert not is_let_in(replace(put, headers=(*put.headers, (name, value), (name, "x"))))


def test_signed_metadata_cannot_be_changed(put: Sent) -> None:
    assert not is_let_in(put.with_headers(**{"x_amz_meta_owner": "somebody"}))


def test_a_body_that_was_changed_is_noticed_where_it_alone_is_signed() -> None:
    scan = signed_by_boto3(ACCESS, "dynamodb", "scan", TableName="jobs")
    assert not is_let_in(replace(scan, body=scan.body.replace(b"jobs", b"keys")))


def test_an_old_signature_is_over(monkeypatch: pytest.MonkeyPatch, put: Sent) -> None:
    old = put.with_headers(x_amz_date="20200101T000000Z")
    assert not is_let_in(old)


def test_presigned_addresses_get_in_for_what_they_name_and_while_they_last() -> None:
    good = presigned()
    assert is_let_in(good)
    assert is_let_in(good.with_headers(range="bytes=0-9"))
    assert not is_let_in(presigned(STRANGER))
    assert not is_let_in(presigned(seconds=-10))
    assert not is_let_in(replace(good, path="/b/jobs/another/m.sog"))
    assert not is_let_in(replace(good, method="PUT"))
    assert not is_let_in(replace(good, query=good.query.replace("X-Amz-Expires=60", "X-Amz-Expires=600")))
    assert not is_let_in(good.with_headers(x_amz_target="DynamoDB_20120810.Scan"))
    assert not is_let_in(good.with_headers(origin="http://localhost:8000"))


def form_fields(access: Access = ACCESS, seconds: int = 60) -> dict[str, str]:
    s3 = access.session.client("s3", endpoint_url=access.endpoint, config=Config(signature_version="s3v4"))
    fields: dict[str, str] = s3.generate_presigned_post("uploads", "uploads/a.zip", ExpiresIn=seconds)["fields"]
    return fields


def test_forms_get_in_with_a_policy_of_ours_while_it_lasts() -> None:
    fields = form_fields()
    assert is_let_in(form(fields))
    assert is_let_in(form(fields, file=b"PK" * 100_000))
    assert not is_let_in(form(form_fields(STRANGER)))
    assert not is_let_in(form(form_fields(seconds=-10)))
    assert not is_let_in(form({name: value for name, value in fields.items() if name != "x-amz-signature"}))
    assert not is_let_in(form(fields | {"policy": form_fields(seconds=600)["policy"]}))
    assert not is_let_in(form(fields | {"Policy": fields["policy"]}))  # twice: the cloud might read the other
    assert not is_let_in(form({}))
    assert not is_let_in(form({"padding": "x" * 2 * MAX_FORM_HEAD} | fields))
    assert not is_let_in(form(fields).with_headers(x_amz_target="DynamoDB_20120810.Scan"))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (request("POST", "/restapis/abc/v1/_user_request_/start-job", body=b"{}"), True),
        (request("GET", "/restapis/abc/v1/_user_request_/jobs", query="state=FAILED"), True),
        (request("GET", "/restapis/abc/v1/_user_request_/../../../../bucket/key"), False),
        (request("GET", "/restapis/abc/v1/_user_request_/%2E%2e/x"), False),
        (request("POST", "/restapis/abc/v1/_user_request_/x", query="Action=CreateStack"), False),
        (request("POST", "/restapis/abc/v1/_user_request_/x", x_amz_target="DynamoDB_20120810.Scan"), False),
        (request("PUT", "/restapis/abc/v1/_user_request_/x", host=f"b.s3.localhost:{PORT}"), False),
        (request("POST", "/restapis"), False),
        (request("GET", "/"), False),
        (request("GET", "/_ministack/health"), False),
        (request("POST", "/_ministack/reset"), False),
        (request("GET", "/_ministack/health", x_spaceport_secret=SECRET), True),
        (request("GET", "/_ministack/health", x_spaceport_secret="é"), False),
        (request("POST", "/", body=b"Action=CreateStack&StackName=evil", content_type="text/plain"), False),
        (request("PUT", "/uploads/a.zip", body=b"PK"), False),
        (request("GET", "/uploads", authorization="Bearer x"), False),
        (request("GET", "/uploads", authorization="AWS4-HMAC-SHA256 Credential=000000000000/x"), False),
        (request("GET", "/uploads", authorization=""), False),
        (request("OPTIONS", "/uploads", access_control_request_method="PUT", origin=ACCESS.endpoint), True),
        (request("OPTIONS", "/uploads", access_control_request_method="PUT", origin="http://localhost:1"), False),
    ],
)
def test_who_gets_in_without_a_signature(sent: Sent, expected: bool) -> None:
    assert is_let_in(sent) is expected


def test_no_websocket_gets_in() -> None:
    async def answers() -> list[str]:
        sent: list[str] = []

        async def send(message: Any) -> None:
            sent.append(message["type"])

        async def never(*_: Any) -> Any:
            raise AssertionError("let in")

        await a_door(never)({"type": "websocket", "headers": []}, never, send)
        return sent

    assert asyncio.run(answers()) == ["websocket.close"]


def _mutations() -> Iterator[st.SearchStrategy[Sent]]:
    text = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
    names = st.sampled_from(["authorization", "content-type", "x-amz-date", "x-amz-content-sha256", "cookie", "accept"])
    yield st.builds(
        Sent,
        st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
        text.map(lambda path: f"/{path}"),
        st.one_of(text, text.map(lambda value: f"X-Amz-Signature={value}&X-Amz-Credential={value}")),
        st.lists(st.tuples(names, text), max_size=4).map(lambda pairs: (("Host", f"127.0.0.1:{PORT}"), *pairs)),
        st.binary(max_size=200),
    )


@given(st.one_of(*_mutations()))
def test_whatever_is_made_up_without_the_secret_stays_outside_and_breaks_nothing(sent: Sent) -> None:
    assert not is_let_in(sent)

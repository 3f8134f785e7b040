"""Routes about addresses: one mail asks its reader, the page asks for a click, and jobs to strangers are refused."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from function_cases import Context, call, deploy, put_tenants, sent
from pipeline_cases import JOB, ended, photo_zip, requested

from functions import mails
from functions.api import app
from spaceport.pipeline.addresses import is_confirmed
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import JOBS
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Tenant

SENDER = "spaceport@example.com"
STRANGER = "stranger@elsewhere.example"
ZIP = "uploads/brighton_beach.zip"
DOMAIN = "abcde12345.execute-api.us-east-1.amazonaws.com"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, MAIL_FROM=SENDER, MAIL_DOMAINS="")
    mails.ses.cache_clear()
    boto3.client("ses").verify_email_identity(EmailAddress=SENDER)
    uploads.client.put_object(Bucket="uploads", Key=ZIP, Body=photo_zip(4))


def request(method: str, path: str, body: Any = None, query: dict[str, str] | None = None) -> dict[str, Any]:
    loaded = call("api_stop", body, path=path, httpMethod=method, resource=path, queryStringParameters=query)
    loaded["requestContext"] |= {"path": f"/v1{path}", "domainName": DOMAIN}
    loaded["headers"]["Host"] = "evil.example"
    answer: dict[str, Any] = app.handler(loaded, Context())
    return answer


def ask(method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    answer = request(method, path, body)
    return answer["statusCode"], json.loads(answer["body"])


def token_of(mail: Any) -> str:
    (link,) = set(re.findall(r'https://[^\s"<]+', mail.body))
    parts = urlsplit(str(link))
    assert (parts.netloc, parts.path) == (DOMAIN, "/v1/confirm")
    return parse_qs(parts.query)["token"][0]


def actions(table: JobTable) -> list[tuple[str, str, str, str]]:
    rows = [row for row in table.table.scan()["Items"] if str(row["job_id"]).startswith("audit#")]
    return [tuple(str(row[name]) for name in ("action", "subject", "key_id", "source_ip")) for row in rows]  # type: ignore[misc]


def test_one_mail_asks_its_reader_who_confirms_with_a_click(bucket: Bucket, table: JobTable) -> None:
    assert ask("POST", "/addresses", {"email": STRANGER})[0] == 202
    (mail,) = sent()
    assert (mail.destinations["ToAddresses"], mail.subject) == ([STRANGER], "Confirm this address for Spaceport")
    token = token_of(mail)
    page = request("GET", "/confirm", query={"token": token})
    assert page["statusCode"] == 200
    assert STRANGER in page["body"] and token in page["body"]
    assert not is_confirmed(bucket, "default", Tenant(), "", STRANGER), "a scanner that opens links confirms nothing"
    assert request("POST", "/confirm", f"token={token}")["statusCode"] == 200
    assert is_confirmed(bucket, "default", Tenant(), "", STRANGER)
    assert request("POST", "/confirm", f"token={token}")["statusCode"] == 404
    assert request("GET", "/confirm", query={"token": token})["statusCode"] == 404
    assert ask("POST", "/addresses", {"email": STRANGER})[0] == 200
    assert ask("GET", "/addresses")[1]["addresses"] == [{"email": STRANGER, "state": "CONFIRMED"}]
    assert len(sent()) == 1
    caller = ("k3y1d00001", "203.0.113.7")
    assert sorted(actions(table)) == [  # within a second in any order
        ("POST /addresses", STRANGER, *caller),
        ("POST /confirm", STRANGER, "-", "203.0.113.7"),
    ]


def test_the_page_can_do_nothing_else(bucket: Bucket) -> None:
    ask("POST", "/addresses", {"email": STRANGER})
    page = request("GET", "/confirm", query={"token": token_of(sent()[0])})
    headers = {name: values[0] for name, values in page["multiValueHeaders"].items()}
    assert headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert "<script" not in page["body"]


@pytest.mark.parametrize(
    "body", ["", "token=", "token", "a=b", "token=a.b.c", "x" * 5000, "token=%00", "&" * 900, "{}"]
)
def test_a_stranger_without_a_token_gets_a_page_and_nothing_else(table: JobTable, body: str) -> None:
    for answer in (request("POST", "/confirm", body), request("GET", "/confirm", query={"token": body})):
        assert answer["statusCode"] == 404
        assert "This link does not work" in answer["body"]
    assert actions(table) == []


def test_what_is_no_text_is_no_error_of_the_server() -> None:
    loaded = call("api_stop", "/w==", path="/confirm", httpMethod="POST", resource="/confirm", isBase64Encoded=True)
    assert app.handler(loaded, Context())["statusCode"] == 404
    loaded["body"] = "*"
    assert app.handler(loaded, Context())["statusCode"] == 404


def test_a_stranger_is_sent_one_mail_however_often_it_is_asked_for() -> None:
    for email in (STRANGER, STRANGER.upper(), STRANGER):
        assert ask("POST", "/addresses", {"email": email})[0] == 202
    assert len(sent()) == 1


def test_strangers_cannot_be_sent_more_mails_than_the_tenant_may_have(bucket: Bucket, table: JobTable) -> None:
    put_tenants(bucket, {"default": {"limits": {"mails_per_day": 2}}})
    answers = [ask("POST", "/addresses", {"email": f"{number}@elsewhere.example"}) for number in range(3)]
    assert [status for status, _ in answers] == [202, 202, 429]
    assert answers[2][1]["slug"] == "over_quota"
    assert "2 mails a day" in answers[2][1]["sentence"]
    assert len(sent()) == len(actions(table)) == 2


def test_a_mail_that_could_not_be_sent_leaves_nothing_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACEPORT_MAIL_FROM", "unverified@example.com")
    assert ask("POST", "/addresses", {"email": STRANGER})[0] == 500
    assert ask("GET", "/addresses")[1]["addresses"] == [{"email": STRANGER, "state": "EXPIRED"}]
    monkeypatch.setenv("SPACEPORT_MAIL_FROM", SENDER)
    assert "one mail a day" in ask("POST", "/addresses", {"email": STRANGER})[1]["sentence"]


def test_nothing_is_sent_that_cannot_be_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "PutItem")

    monkeypatch.setattr("functions.api.caller.audit", fail)
    assert ask("POST", "/addresses", {"email": STRANGER})[0] == 500
    assert sent() == []


@pytest.mark.parametrize("body", [{"email": "nobody"}, {}, {"email": STRANGER, "text": "hello"}, {"email": 5}, []])
def test_what_is_no_address_is_refused(body: Any) -> None:
    assert ask("POST", "/addresses", body)[0] == 400


def test_without_a_sender_no_address_can_be_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACEPORT_MAIL_FROM")
    status, answer = ask("POST", "/addresses", {"email": STRANGER})
    assert (status, answer["slug"]) == (400, "bad_options")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/start-job", {"s3Url": f"s3://uploads/{ZIP}", "email": STRANGER}),
        ("/uploads", {"name": "Beach", "bytes": 1000, "email": STRANGER}),
    ],
)
def test_a_job_that_would_mail_a_stranger_is_refused(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
) -> None:
    status, answer = ask("POST", path, body)
    assert (status, answer["slug"]) == (403, "address_unconfirmed")
    assert answer["sentence"] == (
        f"Nobody has confirmed that mails of your jobs may go to {STRANGER}. Send it to POST /addresses, follow the"
        " link in the mail that then arrives there, and try again; or leave out `email`."
    )
    assert list(bucket.list_objects(JOBS)) == []
    monkeypatch.setenv("SPACEPORT_MAIL_DOMAINS", "elsewhere.example")
    assert ask("POST", path, body)[0] in {201, 202}


def test_where_no_mails_are_sent_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACEPORT_MAIL_FROM")
    assert ask("POST", "/start-job", {"s3Url": f"s3://uploads/{ZIP}", "email": STRANGER})[0] == 202


def test_a_job_says_why_its_mail_was_not_sent(table: JobTable) -> None:
    for manifest in (requested(), ended()):
        table.record(manifest)
    show = {"path": f"/jobs/{JOB}", "pathParameters": {"id": JOB}}
    answers = []
    for _ in range(2):
        answers.append(json.loads(app.handler(call("api_job", **show), Context())["body"]))
        table.note_unsent_mail(JOB, "the address is not confirmed")
    assert [answer.get("noMail") for answer in answers] == [None, "the address is not confirmed"]

"""The mail of a success carries a link that opens the job without a key, and the model's picture inside."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from function_cases import Context, deploy, event, sent
from pipeline_cases import JOB, ended, key_of, requested, staged

from functions import mails
from functions.mails import PICTURE_ID
from functions.notify import app
from spaceport.pipeline import layout
from spaceport.pipeline.contract import Artefact, JobState, StageManifest, StageName
from spaceport.pipeline.jobs.shares import Scope, list_shares, share_of_token, withdraw_share
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import end_key
from spaceport.pipeline.storage import Bucket

SENDER, WEB = "spaceport@example.com", "https://splats.example/page"
JPEG = b"\xff\xd8\xff\xe0 a picture"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


class Killed(BaseException):
    pass


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, MAIL_FROM=SENDER, MAIL_DOMAINS="*", WEB_URL=f"{WEB}/", KEEP_DAYS="20")
    mails.ses.cache_clear()
    app._dynamodb.cache_clear()
    boto3.client("ses").verify_email_identity(EmailAddress=SENDER)


def compressed(*names: str) -> StageManifest:
    made = [Artefact(key=f"jobs/{JOB}/compressed/{name}", bytes=2_100_000) for name in ("model.sog", *names)]
    return staged(StageName.COMPRESS).model_copy(update={"artefacts": made})


def tell(bucket: Bucket, state: JobState = JobState.COMPLETED, *names: str) -> None:
    """The job ends, with `names` in its compressed folder, and the function hears of it."""
    for manifest in (requested(), compressed(*names), ended(state)):
        bucket.put_manifest(key_of(manifest), manifest)
    app.handler(event("end_manifest", end_key(JOB)), Context())


def tokens(mail: Any) -> set[str]:
    text = getattr(mail, "body", None) or str(mail.raw_data)
    return set(re.findall(r"share\.html#([^\s\"'<]+)", text))


def shares(bucket: Bucket) -> list[str]:
    return [item.key for item in bucket.list_objects(layout.shares_prefix(JOB))]


def parts_of(mail: Any) -> list[EmailMessage]:
    return list(email.message_from_string(mail.raw_data, policy=email.policy.default).walk())


def forget_reservation(table: JobTable) -> None:
    """The time of an invocation that died is over."""
    for row in table.table.scan()["Items"]:
        if row.get("status") == "INPROGRESS":
            table.table.put_item(Item=row | {"in_progress_expiration": 0})


def test_the_link_opens_the_report_and_no_more(bucket: Bucket, table: JobTable) -> None:
    tell(bucket)
    (mail,) = sent()
    (token,) = tokens(mail)
    share = share_of_token(bucket, token)
    assert (share.job_id, share.may, share.positions, share.mailed) == (JOB, Scope.REPORT, False, True)
    assert share.expires_at - share.created_at == timedelta(days=20), "no longer than files are kept"
    assert "20 days" in mail.body and f"{WEB}/?job={JOB}" in mail.body
    assert token.partition(".")[2] not in str(table.table.scan()["Items"])
    tell(bucket)
    assert len(sent()) == len(shares(bucket)) == 1


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.STOPPED, JobState.REJECTED])
def test_a_job_that_failed_is_not_shared(bucket: Bucket, state: JobState) -> None:
    tell(bucket, state)
    (mail,) = sent()
    assert not tokens(mail) and shares(bucket) == []
    assert f'href="{WEB}/?job={JOB}"' in mail.body


def test_without_a_page_nothing_is_shared(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACEPORT_WEB_URL")
    tell(bucket)
    assert not tokens(sent()[0]) and shares(bucket) == []


def test_a_mail_that_was_refused_shares_nothing_and_the_next_one_works(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACEPORT_MAIL_FROM", "stranger@example.com")
    with pytest.raises(ClientError, match="MessageRejected"):
        tell(bucket)
    assert shares(bucket) == []
    monkeypatch.setenv("SPACEPORT_MAIL_FROM", SENDER)
    tell(bucket)
    (mail,) = sent()
    assert len(shares(bucket)) == 1 and share_of_token(bucket, *tokens(mail))


def test_a_sender_that_was_killed_after_its_share_sends_no_second_mail(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(app.metrics, "add_metric", die)  # what follows the share
        tell(bucket)
    (share,) = list_shares(bucket, JOB)
    withdraw_share(bucket, JOB, share.id)
    forget_reservation(table)
    tell(bucket)
    assert len(sent()) == len(shares(bucket)) == 1


def test_a_sender_that_was_killed_before_its_share_sends_a_mail_whose_link_works(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(app, "save_share", die)
        tell(bucket)
    forget_reservation(table)
    tell(bucket)
    _, mail = sent()
    assert len(shares(bucket)) == 1 and share_of_token(bucket, *tokens(mail))


def test_the_picture_is_inside_the_mail(bucket: Bucket) -> None:
    bucket.client.put_object(Bucket="pipeline", Key=f"jobs/{JOB}/compressed/poster.jpg", Body=JPEG)
    tell(bucket, JobState.COMPLETED, "poster.jpg", "flight.mp4", "report.html")
    (mail,) = sent()
    assert mail.destinations[0] == "pilot@example.com"
    message, *parts = parts_of(mail)
    kinds = ["text/plain", "multipart/related", "text/html", "image/jpeg"]
    assert [message.get_content_type(), *(part.get_content_type() for part in parts)] == [
        "multipart/alternative",
        *kinds,
    ]
    assert message["Subject"] == "Your 3D model of “Beach” is ready"
    assert message["From"] == f"Spaceport <{SENDER}>"
    html, image = parts[2], parts[3]
    assert image.get_content() == JPEG and image["Content-ID"] == f"<{PICTURE_ID}>"
    assert image.get_content_disposition() == "inline"
    shown = re.search(rf'<img src="cid:{PICTURE_ID}"[^>]* alt="([^"]+)"', html.get_content())
    assert shown and "Beach" in shown[1]
    (token,) = tokens(type("Mail", (), {"body": html.get_content()}))
    text = parts[0].get_content()
    assert token in text and "flight.mp4" in text and "report.html" in text


@pytest.mark.parametrize("body", [b"no picture", b"\xff\xd8\xff" + bytes(200_000), None])
def test_a_picture_that_a_mail_cannot_hold_is_left_out(bucket: Bucket, body: bytes | None) -> None:
    if body is not None:
        bucket.client.put_object(Bucket="pipeline", Key=f"jobs/{JOB}/compressed/poster.jpg", Body=body)
    tell(bucket, JobState.COMPLETED, "poster.jpg")
    (mail,) = sent()
    assert "cid:" not in mail.body and tokens(mail)

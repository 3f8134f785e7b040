"""The notify function: one mail for each end, with the right words, and nothing that a user wrote left unescaped."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyAlreadyInProgressError
from botocore.exceptions import ClientError
from function_cases import Context, deploy, event, put_tenants, sent
from pipeline_cases import JOB, key_of, requested, staged

from functions import mails
from functions.links import MAX_SECONDS, SESSION_SECONDS, Link, link_seconds
from functions.notify import app
from functions.notify.mail import Pages, duration, figures, size, unlinked, write_mail
from spaceport.local.functions import Invocation
from spaceport.local.poller import NotHandled
from spaceport.pipeline.addresses import address_of_link, confirm, new_link
from spaceport.pipeline.contract import Artefact, EndManifest, Failure, JobState, Outcome, StageManifest, StageName
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.jobs.state import END_STATES, JobRecord, advance
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import end_key
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Limits

SENDER = "spaceport@example.com"
HOSTILE = 'Beach\r\nBcc: all@example.com<script>alert("1")</script>'
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch, MAIL_FROM=SENDER, MAIL_DOMAINS="*")
    mails.ses.cache_clear()
    app._dynamodb.cache_clear()
    boto3.client("ses").verify_email_identity(EmailAddress=SENDER)


def trained(**changes: Any) -> StageManifest:
    outcome = Outcome(message="trained", counts={"gaussians": 120000}, quality={"psnr_held_out": 27.34})
    artefact = Artefact(key=f"jobs/{JOB}/gaussian/model.ply", bytes=29_760_000)
    return staged(StageName.TRAIN, outcome=outcome, **changes).model_copy(update={"artefacts": [artefact]})


def compressed(**changes: Any) -> StageManifest:
    outcome = Outcome(message="compressed", quality={"sog_psnr": 41.0})
    artefact = Artefact(key=f"jobs/{JOB}/compressed/model.sog", bytes=2_100_000)
    return staged(StageName.COMPRESS, outcome=outcome, **changes).model_copy(update={"artefacts": [artefact]})


def end(state: JobState, failure: Failure | None = None, message: str = "over", **changes: Any) -> EndManifest:
    request = requested(**changes).request
    return EndManifest(
        job_id=JOB, created_at=request.received_at, state=state, request=request, failure=failure, message=message
    )


def tell(bucket: Bucket, *manifests: Any) -> None:
    """Put a job's manifests and let the function hear of the last one."""
    for manifest in manifests:
        bucket.put_manifest(key_of(manifest), manifest)
    app.handler(event("end_manifest", end_key(JOB)), Context())


def row(*manifests: Any) -> JobRecord:
    record: JobRecord | None = None
    for manifest in manifests:
        record = advance(record, manifest)
    assert record
    return record


def test_a_completed_job_is_told_with_links_that_work(bucket: Bucket) -> None:
    over = end(JobState.COMPLETED, message="Your compressed 3D model is ready!")
    bucket.client.put_object(Bucket="pipeline", Key=f"jobs/{JOB}/compressed/model.sog", Body=b"sog")
    on_aws = staged(StageName.SFM).model_copy(update={"instance_type": "c6i.2xlarge"})
    tell(bucket, requested(), on_aws, trained(), compressed(), over)
    (mail,) = sent()
    assert mail.destinations["ToAddresses"] == ["pilot@example.com"]
    assert mail.source == f"Spaceport <{SENDER}>"
    assert mail.subject == "Your 3D model of “Beach” is ready"
    for expected in (
        "Your compressed 3D model is ready!",
        "27.3 dB",
        "120,000",
        "$0.01, estimated $0.15",
        "2.1 MB",
        "model.ply",
    ):
        assert expected in mail.body


def test_the_second_delivery_sends_nothing(bucket: Bucket, table: JobTable) -> None:
    tell(bucket, requested(), end(JobState.STOPPED))
    tell(bucket)
    assert len(sent()) == 1
    assert table.stages(JOB) == {}  # the mark lies beside the job's rows and is no stage


def test_a_send_that_failed_is_tried_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACEPORT_MAIL_FROM", "stranger@example.com")
    with pytest.raises(ClientError, match="MessageRejected"):
        tell(bucket, requested(), end(JobState.STOPPED))
    monkeypatch.setenv("SPACEPORT_MAIL_FROM", SENDER)
    tell(bucket)
    assert len(sent()) == 1


def test_a_mail_whose_sender_was_killed_before_it_was_sent_is_sent_after_its_time(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> str:
        raise Killed

    class Answer:
        """A client of Lambda whose function failed."""

        def __init__(self, error: Exception) -> None:
            self.payload = {"errorMessage": str(error), "errorType": "Runtime.HandlerError"}

        def invoke(self, **_: object) -> dict[str, Any]:
            body = io.BytesIO(json.dumps(self.payload).encode())
            return {"FunctionError": "Unhandled", "ResponseMetadata": {}, "Payload": body}

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(mails, "send", die)
        tell(bucket, requested(), end(JobState.STOPPED))
    with pytest.raises(IdempotencyAlreadyInProgressError) as another:
        tell(bucket)
    with pytest.raises(NotHandled) as error:  # the embedded cloud's next try would come too early
        Invocation(Answer(another.value), "notify", 60)("{}")
    assert error.value.pause == 61
    (row,) = (row for row in table.table.scan()["Items"] if row.get("status") == "INPROGRESS")
    table.table.put_item(Item=row | {"in_progress_expiration": 0})  # its time is over
    tell(bucket)
    assert len(sent()) == 1


@pytest.mark.parametrize("why", ["no address", "no sender", "no end", "no manifest"])
def test_no_mail_without_address_sender_or_end(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    if why == "no sender":
        monkeypatch.delenv("SPACEPORT_MAIL_FROM")
    if why == "no manifest":
        app.handler(event("end_manifest", f"jobs/{JOB}/extracted/end/manifest.json"), Context())
    elif why == "no end":
        tell(bucket, requested())
    else:
        tell(bucket, end(JobState.STOPPED, email=None if why == "no address" else "pilot@example.com"))
    assert sent() == []


def test_a_job_without_an_address_lacks_no_mail(bucket: Bucket, table: JobTable) -> None:
    tell(bucket, end(JobState.STOPPED, email=None))
    assert table.unsent_mail(JOB) is None


def test_no_mail_to_an_address_that_nobody_confirmed(
    bucket: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACEPORT_MAIL_DOMAINS", "firm.example, other.example")
    tell(bucket, requested(), end(JobState.COMPLETED))
    assert sent() == []
    assert table.unsent_mail(JOB) == "the address is not confirmed"
    confirm(bucket, address_of_link(bucket, new_link(bucket, "default", "pilot@example.com")))
    tell(bucket)
    assert len(sent()) == 1


def test_what_one_tenant_confirmed_is_not_confirmed_for_another(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPACEPORT_MAIL_DOMAINS", "")
    confirm(bucket, address_of_link(bucket, new_link(bucket, "default", "pilot@example.com")))
    tell(bucket, end(JobState.COMPLETED, tenant="acme"))
    assert sent() == []


def test_no_more_mails_than_a_tenant_may_have(bucket: Bucket, table: JobTable) -> None:
    put_tenants(bucket, {"default": {"limits": {"mails_per_day": 1}}})
    Quotas(table).reserve_mail("default", Limits(mails_per_day=1), "another")
    tell(bucket, end(JobState.COMPLETED))
    assert sent() == []
    assert table.unsent_mail(JOB) == "the tenant has had all its mails of today"


def test_a_mail_with_links_is_audited_once(bucket: Bucket, table: JobTable) -> None:
    tell(bucket, trained(), end(JobState.COMPLETED))
    tell(bucket)
    rows = [row for row in table.table.scan()["Items"] if str(row["job_id"]).startswith("audit#default#")]
    assert [(row["action"], row["subject"]) for row in rows] == [("mail with links", JOB)]


def test_the_page_is_linked_when_there_is_one(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACEPORT_WEB_URL", "https://splats.example.com/")
    tell(bucket, trained(), end(JobState.COMPLETED))
    (mail,) = sent()
    assert f"https://splats.example.com/?job={JOB}" in mail.body


def test_a_failed_job_says_why_and_what_to_do() -> None:
    failure = Failure(slug=Slug.TOO_FEW_REGISTERED, sentence="Only 9 of 48 photos could be placed. Fly with more.")
    over = end(JobState.FAILED, failure, message=failure.sentence)
    mail = write_mail(over, row(requested(), over), [], SESSION_SECONDS)
    assert mail.subject == "“Beach” could not be made into a 3D model"
    assert failure.sentence in mail.text and failure.sentence in mail.html
    assert "spaceport retry" not in mail.text, "nothing was finished from which to go on"
    assert "downloads work" not in mail.text


def test_what_was_finished_can_be_gone_on_from() -> None:
    over = end(JobState.STOPPED)
    mail = write_mail(over, row(requested(), staged(StageName.SFM), over), [], SESSION_SECONDS)
    assert f"spaceport retry {JOB}" in mail.text


@pytest.mark.parametrize("state", sorted(END_STATES))
def test_every_end_has_its_words(state: JobState) -> None:
    over = end(state)
    mail = write_mail(over, row(over), [], MAX_SECONDS)
    assert "Beach" in mail.text + mail.subject and "over" in mail.text


def test_the_subject_of_a_refusal_holds_no_word_of_the_uploader() -> None:
    names = ("Beach", "WIN A PRIZE at https://evil.example", HOSTILE)
    over = [end(JobState.REJECTED, name=name, message=name) for name in names]
    assert {write_mail(each, row(each), [], 1).subject for each in over} == {"An upload could not be used"}


@pytest.mark.parametrize("state", sorted(END_STATES))
def test_nothing_that_a_user_wrote_becomes_a_link(state: JobState) -> None:
    hostile = "see https://evil.example/x www.evil.example photos.zip me@evil.example evil。example"
    failure = Failure(slug=Slug.UNSAFE_PATH, sentence=hostile)
    over = end(state, failure, message=hostile, name=hostile)
    mail = write_mail(over, row(over), [], 1)
    for text in (mail.subject, mail.text, mail.html):
        assert "://" not in text
        assert not re.search(r"(evil|photos)[.。]|[.。](example|zip)", text)


@pytest.mark.parametrize("text", ["DJI_0001.JPG", "a/b.tif is 4.5 MB.", "Put it into a .zip file. Then go on", "8.7"])
def test_what_is_no_link_is_left_as_it_is(text: str) -> None:
    assert unlinked(text) == text


def test_a_full_tenant_does_not_have_to_correct_its_upload() -> None:
    over = end(JobState.REJECTED, Failure(slug=Slug.OVER_QUOTA, sentence="full"))
    mail = write_mail(over, row(over), [], 1)
    assert "when there is room" in mail.text and "Correct it" not in mail.text


def test_what_a_user_wrote_cannot_break_out() -> None:
    over = end(JobState.COMPLETED, name=HOSTILE)
    link = Link(file="x", label="model", url='https://example.com/?a=1&b="2"', bytes=5)
    mail = write_mail(over, row(over), [link], SESSION_SECONDS, Pages(job="https://example.com/?job=1"))
    assert "\n" not in mail.subject and "\r" not in mail.subject
    assert "<script>" not in mail.html and "&lt;script&gt;" in mail.html
    assert 'href="https://example.com/?a=1&amp;b=&quot;2&quot;"' in mail.html
    assert len(write_mail(end(JobState.COMPLETED, name="x" * 200), row(over), [], 1).subject) < 130


def test_how_long_links_work_depends_on_who_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert link_seconds() == SESSION_SECONDS  # the fake account has a session token, as Lambda has
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    assert link_seconds() == MAX_SECONDS
    over = end(JobState.COMPLETED)
    link = [Link(file="x", label="model", url="https://example.com", bytes=5)]
    assert "up to 7 days" in write_mail(over, row(over), link, MAX_SECONDS).text
    assert "up to 12 hours" in write_mail(over, row(over), link, SESSION_SECONDS).text


def test_figures_are_told_only_where_they_were_measured() -> None:
    assert figures(row(end(JobState.REJECTED))) == {"Job": JOB}
    labelled = figures(row(requested(), staged(StageName.SFM, outcome=Outcome(message="", counts={"registered": 17}))))
    assert labelled["Photos placed"] == "17 of 18"
    assert figures(row(requested()))["Photos"] == "18"


def test_durations_and_sizes_in_words() -> None:
    assert [duration(seconds) for seconds in (45, 600, 3 * 3600 + 300)] == ["45 s", "10 min", "3 h 05 min"]
    assert [size(count) for count in (2_100_000, 2_480_000_000)] == ["2.1 MB", "2.48 GB"]

"""The judge of `make chaos` sees what it is there to see: a judge who always acquits would be quick and useless."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from corpus import IMAGES_EACH, MODEL_FILES, corpus
from inputs import Expected, Garbage, Kind, Upload
from judge import Verdict, judge
from kills import unrecorded_mails
from ledger import Ledger
from pipeline_cases import START
from surveys import shared_survey

from spaceport.demo.truth import Truth
from spaceport.pipeline.contract import EndManifest, Failure, JobState, Request, RequestManifest
from spaceport.pipeline.contract import Upload as Stored
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import end_key, request_key
from spaceport.pipeline.storage import Bucket

KEY = "uploads/a.zip"
TRUTH: Any = SimpleNamespace(cameras=[], scene_size=1.0)
REFUSED = Expected(frozenset({JobState.REJECTED}), Slug.NOT_A_ZIP)


class Court:
    """An upload that must be rejected as no zip, and what became of it."""

    def __init__(self, bucket: Bucket, table: JobTable) -> None:
        self.bucket = bucket
        self.table = table
        self.ledger = Ledger()
        self.ledger.dropped_in(Upload(KEY, b"no zip", {}, REFUSED, Counter({Kind.ZIP: 1})))

    def end(self, job_id: str = "a-job", slug: Slug = Slug.NOT_A_ZIP, state: JobState = JobState.REJECTED) -> None:
        """The job of the upload ends, with a mail."""
        upload = Stored(bucket="uploads", key=KEY, etag="etag", bytes=6)
        request = Request(name="A", email="pilot@example.com", upload=upload, received_at=START)
        failure = Failure(slug=slug, sentence="It is no zip.")
        end = EndManifest(
            job_id=job_id, created_at=START, state=state, request=request, failure=failure, message="It is no zip."
        )
        self.bucket.put_manifest(end_key(job_id), end)
        self.table.record(end)
        self.ledger.see_manifest(end_key(job_id), "etag", START.timestamp())
        self.mail(job_id)

    def mail(self, job_id: str = "a-job") -> None:
        count = len(self.ledger.mails)
        body = f"It is no zip.\n\nJob: {job_id}\n"
        self.ledger.see_mails(0, [{"MessageId": str(count), "BodyText": body, "Timestamp": 1000.0 + 100 * count}])

    def verdict(self) -> Verdict:
        deployment = SimpleNamespace(bucket=self.bucket, table=self.table)
        world: Any = SimpleNamespace(deployment=deployment, lives=[SimpleNamespace(number=0, began=0.0, ended=None)])
        truth: Truth = TRUTH
        return judge(world, self.ledger, truth)


@pytest.fixture
def court(bucket: Bucket, table: JobTable) -> Court:
    return Court(bucket, table)


def test_what_must_be_is_acquitted(court: Court) -> None:
    court.end()
    verdict = court.verdict()
    assert (verdict.jobs, verdict.lost, verdict.twice, verdict.wrong) == (1, [], [], [])


def test_an_upload_without_an_end_is_lost(court: Court) -> None:
    assert court.verdict().lost == [f"{KEY} has no end"]


def test_a_mail_that_nobody_got_is_lost(court: Court) -> None:
    court.end()
    court.ledger.mails.clear()
    assert (court.verdict().lost, court.verdict().mails_unknown) == ([], 1)  # it may be on its way
    court.ledger.see_no_mail_waiting(0, START.timestamp() + 60)
    assert court.verdict().lost == ["the mail of a-job, which ended as REJECTED"]


def test_two_jobs_two_mails_and_two_manifests_are_twice(court: Court) -> None:
    court.end()
    court.end("another-job")
    court.mail()
    court.ledger.see_manifest(end_key("a-job"), "another etag", START.timestamp())
    assert len(court.verdict().twice) == 3


def test_a_mail_is_sent_again_when_its_sender_was_killed_before_the_record(court: Court) -> None:
    court.end()
    court.mail()
    own, others = frozenset({"a-job"}), frozenset({"another-job"})
    for at, unrecorded in ((999.9, own), (1050.0, others), (1050.0, frozenset[str]()), (1100.5, own)):
        court.ledger.see_sender_killed(at, unrecorded)
    assert len(court.verdict().twice) == 1
    court.ledger.see_sender_killed(1000.5, own)
    assert (court.verdict().twice, len(court.verdict().unrecorded)) == ([], 1)


def test_a_mail_is_unrecorded_from_its_reservation_to_its_record(court: Court) -> None:
    for job_id, record, status in (
        ("sent", "mail#1", "COMPLETED"),
        ("reserved", "mail#2", "INPROGRESS"),
        ("other", "train", "INPROGRESS"),
    ):
        court.table.table.put_item(Item={"job_id": job_id, "record": record, "status": status})
    assert list(unrecorded_mails(court.table)) == ["reserved"]


@pytest.mark.parametrize(
    ("slug", "state"),
    [(Slug.INTERNAL, JobState.FAILED), (Slug.EMPTY_ZIP, JobState.REJECTED), (Slug.NOT_A_ZIP, JobState.FAILED)],
)
def test_another_end_is_wrong(court: Court, slug: Slug, state: JobState) -> None:
    court.end(slug=slug, state=state)
    assert len(court.verdict().wrong) == 1


def test_a_row_that_says_otherwise_is_wrong(court: Court) -> None:
    court.end()
    court.table.table.delete_item(Key={"job_id": "a-job", "record": "job"})
    assert court.verdict().wrong == ["a-job ended as REJECTED, and its row says nothing"]


def test_a_lost_machine_is_counted_apart(court: Court) -> None:
    court.end(slug=Slug.MACHINE_LOST, state=JobState.FAILED)
    verdict = court.verdict()
    assert (verdict.wrong, verdict.given_up) == ([], ["a-job: machine_lost"])


def test_garbage_is_left_alone_and_named(court: Court) -> None:
    court.end()
    key = request_key("garbage-1")
    court.ledger.dropped_in(Garbage(key, b"garbage"))
    court.bucket.put_small(key, b"garbage")
    assert court.verdict().wrong == []
    manifest = RequestManifest(job_id="garbage-1", created_at=START, request=Request(name="A", received_at=START))
    court.bucket.put_small(key, manifest.model_dump_json().encode())
    court.bucket.put_small(end_key("garbage-1"), b"{}")
    changed, accompanied, unnamed = court.verdict().wrong
    assert "was changed" in changed and "beside the garbage" in accompanied and "doctor does not name" in unnamed


def test_the_corpus_is_a_thousand_inputs_and_its_seed_decides() -> None:
    survey = shared_survey(12, 512, 384).zip_path
    inputs = corpus(survey, 7, 1.0)
    holds = sum((each.holds for each in inputs), Counter[Kind]())
    assert holds.total() - holds[Kind.SURVEY] + MODEL_FILES == 1000
    assert holds[Kind.IMAGE] >= 2 * IMAGES_EACH
    assert min(holds[kind] for kind in Kind) > 5
    first, again = (
        [(each.key, each.expected) for each in corpus(survey, 7, 0.03) if isinstance(each, Upload)] for _ in range(2)
    )
    assert first == again

"""How a job begins, and what is turned away at the intake."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_cases import photo_zip, requested, staged

from spaceport.pipeline.contract import (
    DEFAULT_TENANT,
    AnyManifest,
    EndManifest,
    JobState,
    RequestManifest,
    StageManifest,
    StageName,
)
from spaceport.pipeline.errors import Conflict, Refused, Slug, UnknownJob
from spaceport.pipeline.jobs import accept
from spaceport.pipeline.jobs.accept import accept_upload, continue_job
from spaceport.pipeline.jobs.submission import Submission
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import request_key, stage_manifest_key
from spaceport.pipeline.storage import Bucket

KEY = "uploads/My Beach (1).zip"


class Intake:
    """Uploads a zip and accepts it, as intake does."""

    def __init__(self, bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
        self.bucket = bucket
        self.uploads = uploads
        self.table = table

    def __call__(self, data: bytes, submission: Submission | None = None, **metadata: str) -> AnyManifest:
        return self.accept(self.put(data, **metadata), submission)

    def put(self, data: bytes, **metadata: str) -> str:
        """Put an upload. Returns its version."""
        named = {name.replace("_", "-"): value for name, value in metadata.items()}
        return self.uploads.client.put_object(Bucket=self.uploads.name, Key=KEY, Body=data, Metadata=named)["VersionId"]

    def accept(self, version: str | None = None, submission: Submission | None = None) -> AnyManifest:
        return accept_upload(self.bucket, self.table, self.uploads, KEY, DEFAULT_TENANT, submission, version)


@pytest.fixture
def intake(bucket: Bucket, uploads: Bucket, table: JobTable) -> Intake:
    return Intake(bucket, uploads, table)


def accepted(manifest: AnyManifest) -> RequestManifest:
    assert isinstance(manifest, RequestManifest)
    return manifest


def rejected(manifest: AnyManifest, slug: Slug) -> EndManifest:
    assert isinstance(manifest, EndManifest)
    assert manifest.state is JobState.REJECTED
    assert manifest.failure is not None
    assert manifest.failure.slug is slug
    assert manifest.message == manifest.failure.sentence
    return manifest


def test_a_good_zip_begins_a_job(intake: Intake) -> None:
    made = accepted(intake(photo_zip(5), email="pilot@example.com", options='{"preset": "draft"}'))
    assert made.job_id.startswith("my-beach-1-")
    assert made.photos == 5
    assert made.request.email == "pilot@example.com"
    assert made.request.options.preset == "draft"
    stored = intake.bucket.read_manifest(request_key(made.job_id))
    assert stored is not None
    assert stored.manifest == made


def test_the_same_event_twice_is_one_job_and_a_new_upload_is_another(intake: Intake) -> None:
    first = intake(photo_zip())
    assert intake.accept() == first
    assert intake(photo_zip()).job_id != first.job_id


def test_a_rejection_is_remembered(intake: Intake) -> None:
    first = rejected(intake(b"no zip", email="pilot@example.com"), Slug.NOT_A_ZIP)
    assert intake.accept() == first
    row = intake.table.get(first.job_id)
    assert row is not None
    assert (row.state, row.email) == (JobState.REJECTED, "pilot@example.com")
    assert row.failure == first.failure


def test_options_in_the_zip_and_what_outranks_them(intake: Intake) -> None:
    inner = {"name": "From the zip", "email": "zip@example.com", "options": {"preset": "draft", "target_psnr": 20}}
    data = photo_zip(3, {"spaceport.json": json.dumps(inner).encode()})
    made = accepted(intake(data, options='{"target_psnr": 25}')).request
    assert (made.name, made.email, made.options.train.target_psnr) == ("From the zip", "zip@example.com", 25.0)
    request = accepted(intake(data, Submission(name="Mine", options={"preset": "high"}), job_name="B%C3%A4ch")).request
    assert (request.name, request.options.preset) == ("Mine", "high")
    named = accepted(intake(data, job_name="B%C3%A4ch")).request
    assert named.name == "Bäch"


def test_flat_options_in_the_zip(intake: Intake) -> None:
    data = photo_zip(3, {"spaceport.json": b'{"email": "a@b.org", "max_iterations": 77}'})
    made = accepted(intake(data)).request
    assert (made.email, made.options.train.max_iterations) == ("a@b.org", 77)


@pytest.mark.parametrize(
    ("extra", "metadata"),
    [
        ({"spaceport.json": b"{"}, {}),
        ({"spaceport.json": b"[]"}, {}),
        ({"spaceport.json": b"[" * 60000}, {}),
        ({"spaceport.json": b'{"options": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}"}, {}),
        ({"spaceport.json": b'{"options": [1]}'}, {}),
        ({"spaceport.json": b'{"options": "draft"}'}, {}),
        ({"spaceport.json": b'{"name": "\\ud800", "options": {}}'}, {}),
        ({"spaceport.json": b'{"name": ["a"], "options": {}}'}, {}),
        ({"spaceport.json": b'{"options": {"' + b"x" * 30_000 + b'": 1}}'}, {}),
        ({"spaceport.json": b'{"options": {"train": {"max_iterations": 1e999}}}'}, {}),
        ({"spaceport.json": b'{"options": {"train": {"max_iterations": ' + b"9" * 5000 + b"}}}"}, {}),
        ({"spaceport.json": b'{"options": {"preset": ["draft"]}}'}, {}),
        ({"spaceport.json": b'{"options": {"preset": {"a": 1}, "target_psnr": [[]]}}'}, {}),
        ({"spaceport.json": b"\xff\xfe{}"}, {}),
        ({}, {"options": "{"}),
        ({}, {"options": "[]"}),
        ({}, {"options": '{"preset": "ultra"}'}),
    ],
)
def test_bad_options_reject_the_job(intake: Intake, extra: dict[str, bytes], metadata: dict[str, Any]) -> None:
    rejected(intake(photo_zip(3, extra), **metadata), Slug.BAD_OPTIONS)


def test_whatever_an_upload_breaks_ends_its_job_and_no_other(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(accept, "inspect", broken)
    end = intake(photo_zip(), email="pilot@example.com")
    assert isinstance(end, EndManifest)
    assert (end.state, end.request.email) == (JobState.FAILED, "pilot@example.com")
    assert end.failure is not None
    assert end.failure.slug is Slug.INTERNAL
    monkeypatch.undo()
    accepted(intake(photo_zip()))


def test_a_fault_of_aws_is_none_of_the_upload(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: object) -> None:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")

    monkeypatch.setattr(accept, "inspect", failing)
    with pytest.raises(ClientError):
        intake(photo_zip())
    monkeypatch.undo()
    accepted(intake.accept())


def test_what_a_user_wrote_is_shown_as_text(intake: Intake) -> None:
    inner = {"options": {"\x1b[2J\x1b]0;x\x07": 1, "\u202egpj": 2, "[/oops]": 3}}
    end = rejected(intake(photo_zip(3, {"spaceport.json": json.dumps(inner).encode()})), Slug.BAD_OPTIONS)
    assert "\\x1b[2J\\x1b]0;x\\x07" in end.message
    assert "\\u202egpj" in end.message
    assert "[/oops]" in end.message
    assert end.message.isprintable()


@pytest.mark.parametrize("email", ["nobody", "a@b", "a@b.c\n", "a b@c.de", "x" * 70 + "@a.de", "<a@b.de>"])
def test_an_address_that_is_none_is_left_out(intake: Intake, email: str) -> None:
    assert accepted(intake(photo_zip(), submission=Submission(email=email))).request.email is None


def test_a_missing_upload_is_no_job(intake: Intake) -> None:
    with pytest.raises(Refused) as refusal:
        accept_upload(intake.bucket, intake.table, intake.uploads, "uploads/gone.zip", DEFAULT_TENANT)
    assert refusal.value.slug is Slug.UPLOAD_MISSING


def test_a_job_continues_from_another(bucket: Bucket, table: JobTable) -> None:
    bucket.put_manifest(request_key("old-job"), requested("old-job"))
    done = staged(StageName.SFM, "old-job")
    bucket.put_manifest(stage_manifest_key("old-job", StageName.SFM), done)
    first, second = (continue_job(bucket, table, "old-job", StageName.TRAIN) for _ in range(2))
    assert (first.job_id, second.job_id) == ("old-job-r1", "old-job-r2")
    assert isinstance(first, StageManifest)
    assert first.artefacts == done.artefacts
    assert first.request.continues == "old-job"
    third = continue_job(
        bucket, table, "old-job-r1", StageName.TRAIN, Submission(options={"preset": "high"}, email="n@new.org")
    )
    assert (third.job_id, third.request.options.preset) == ("old-job-r3", "high")
    assert third.request.email == "n@new.org"


@pytest.mark.parametrize(
    ("source", "submission", "error"), [("none", Submission(), UnknownJob), ("old", Submission(job_id="old"), Conflict)]
)
def test_what_cannot_be_continued(
    bucket: Bucket, table: JobTable, source: str, submission: Submission, error: type[Exception]
) -> None:
    bucket.put_manifest(request_key("old"), requested("old"))
    with pytest.raises(error):
        continue_job(bucket, table, source, StageName.SFM, submission)


def test_reading_by_ranges_needs_little(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory at the end of 20 MB of photos is read without the photos."""
    seen: list[int] = []
    get = intake.uploads.client.get_object

    def counting(**arguments: Any) -> Any:
        answer = get(**arguments)
        seen.append(answer["ContentLength"])
        return answer

    monkeypatch.setattr(intake.uploads.client, "get_object", counting)
    accepted(intake(photo_zip(3, {"big.bin": bytes(20 << 20)})))
    assert sum(seen) < 2 << 20


@pytest.mark.parametrize(("job_id", "taken"), [("my-own-id", True), ("No Id", False), ("../x", False)])
def test_an_upload_may_bring_its_id(intake: Intake, job_id: str, taken: bool) -> None:
    assert (intake(photo_zip(), job_id=job_id).job_id == job_id) == taken

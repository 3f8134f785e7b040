"""One source is one job: whoever asks, how often, at the same time, and killed at any point."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pipeline_cases import photo_zip, requested

from spaceport.pipeline.contract import DEFAULT_TENANT, AnyManifest, RequestManifest, StageName, Upload
from spaceport.pipeline.errors import Conflict
from spaceport.pipeline.jobs.accept import accept_upload, continue_job
from spaceport.pipeline.jobs.births import bear, bear_of_upload, new_job_id, signed_source
from spaceport.pipeline.jobs.submission import Submission
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import birth_key, birth_of_source_key, request_key
from spaceport.pipeline.storage import Bucket

KEY = "uploads/beach.zip"
UPLOAD = Upload(bucket="uploads", key=KEY, etag="e", bytes=1, version_id="1")
OTHER = UPLOAD.model_copy(update={"version_id": "2"})


class Killed(BaseException):
    """The process ended here."""


class Uploads:
    """An upload, and who begins its job: its event, a recovery, or `start-job`, with an id of its own or without."""

    def __init__(self, bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
        self.bucket, self.uploads, self.table = bucket, uploads, table
        self.key, self.count, self.known = KEY, 0, set[str]()

    def put(self, **metadata: str) -> None:
        """Another upload than the last."""
        self.count += 1
        self.key = f"uploads/beach-{self.count}.zip"
        named = {name.replace("_", "-"): value for name, value in metadata.items()}
        self.uploads.client.put_object(Bucket="uploads", Key=self.key, Body=photo_zip(4), Metadata=named)

    def accept(self, submission: Submission | None = None) -> AnyManifest:
        return accept_upload(self.bucket, self.table, self.uploads, self.key, DEFAULT_TENANT, submission)

    def event(self) -> AnyManifest:
        return self.accept()

    def start(self) -> AnyManifest:
        return self.accept(Submission(owner="key-1"))

    def start_with_id(self) -> AnyManifest:
        return self.accept(Submission(owner="key-1", job_id=f"my-own-id-{self.count}"))

    def new_jobs(self) -> list[str]:
        """Ids of those that were begun since the last call."""
        every = set(self.bucket.list_folders("jobs/"))
        new, self.known = every - self.known, every
        return [job_id for job_id in new if self.bucket.exists(request_key(job_id))]


@pytest.fixture
def beach(bucket: Bucket, uploads: Bucket, table: JobTable) -> Uploads:
    return Uploads(bucket, uploads, table)


WHO = {"event": Uploads.event, "start": Uploads.start, "start with id": Uploads.start_with_id}
WRITES = 4  # of one beginning at most: a birth, the same for its upload and for its signature, and the request
STEPS = range(2 * WRITES)
Arrange = Callable[[int, Callable[[], object]], None]


@pytest.fixture
def at_write(monkeypatch: pytest.MonkeyPatch) -> Arrange:
    """Has something happen right before (even steps) or right after (odd ones) one of the next conditional writes."""
    put_once = Bucket.put_once
    arranged: list[tuple[int, Callable[[], object]]] = []

    def put(bucket: Bucket, key: str, body: bytes) -> bool:
        step, happens = arranged.pop() if arranged else (-1, Killed)
        if step == 0:
            happens()
        written = put_once(bucket, key, body)
        if step == 1:
            happens()
        elif step > 1:
            arranged.append((step - 2, happens))
        return written

    monkeypatch.setattr(Bucket, "put_once", put)

    def arrange(step: int, happens: Callable[[], object]) -> None:
        arranged[:] = [(step, happens)]

    return arrange


def kill() -> None:
    raise Killed


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("first", "second"), [("event", "start with id"), ("start with id", "event"), ("start", "event")]
)
def test_a_race_gives_one_job(beach: Uploads, at_write: Arrange, first: str, second: str, signed: bool) -> None:
    for step in STEPS:
        job_id = f"signed-{step}"
        beach.put(**({"job_id": job_id} if signed else {}))
        if signed:
            bear(beach.bucket, job_id, signed_source("uploads", beach.key), DEFAULT_TENANT, "key-0")
        others: list[AnyManifest] = []
        at_write(step, lambda others=others: others.append(WHO[second](beach)))  # type: ignore[misc]
        mine = WHO[first](beach)
        at_write(-1, kill)
        assert {manifest.job_id for manifest in (mine, *others, beach.event(), beach.start())} == {mine.job_id}
        assert beach.new_jobs() == [mine.job_id]
        assert not signed or (mine.job_id, mine.request.owner) == (job_id, "key-0")


@pytest.mark.parametrize("killed", WHO)
@pytest.mark.parametrize("after", ["event", "start with id"])
def test_a_kill_loses_nothing(beach: Uploads, at_write: Arrange, killed: str, after: str) -> None:
    for step in range(6):  # without a signature there are three writes
        beach.put()
        at_write(step, kill)
        with pytest.raises(Killed):
            WHO[killed](beach)
        begun = WHO[after](beach)
        assert isinstance(begun, RequestManifest)
        assert beach.new_jobs() == [begun.job_id]
        assert beach.event() == begun


def test_an_id_is_its_source_s(bucket: Bucket) -> None:
    first = bear(bucket, "my-id", "a", "acme", "key-1")
    assert bear(bucket, "my-id", "a", "acme", "key-2") == first
    with pytest.raises(Conflict, match="my-id is taken"):
        bear(bucket, "my-id", "b", "acme", "key-1")


def test_a_job_of_the_time_before_births_keeps_its_id(bucket: Bucket) -> None:
    bucket.put_manifest(request_key("old-job"), requested("old-job"))
    with pytest.raises(Conflict):
        bear(bucket, "old-job", "a", DEFAULT_TENANT, None)
    assert not bucket.exists(birth_key("old-job"))


def test_a_birth_that_cannot_be_read_takes_its_id(bucket: Bucket) -> None:
    bucket.put_once(birth_key("my-id"), b"{")
    with pytest.raises(Conflict):
        bear(bucket, "my-id", "a", DEFAULT_TENANT, None)


def born(
    bucket: Bucket, upload: Upload, tenant: str = DEFAULT_TENANT, sent: str | None = None
) -> tuple[str, str | None]:
    birth = bear_of_upload(bucket, upload, "Beach", tenant, owner=None, sent=sent, wanted=None)
    assert birth.tenant == tenant
    return birth.job_id, birth.owner


def test_of_a_signed_id_the_upload_that_comes_first_has_it(bucket: Bucket) -> None:
    bear(bucket, "signed-id", signed_source("uploads", KEY), DEFAULT_TENANT, "key-0")
    assert born(bucket, UPLOAD, sent="signed-id") == ("signed-id", "key-0")
    other, owner = born(bucket, OTHER, sent="signed-id")
    assert (other != "signed-id", owner) == (True, "key-0")
    assert born(bucket, OTHER, sent="signed-id") == (other, owner)


@pytest.mark.parametrize(
    ("upload", "tenant"), [(UPLOAD.model_copy(update={"key": "uploads/else.zip"}), DEFAULT_TENANT), (UPLOAD, "acme")]
)
def test_a_signed_id_is_for_its_key_and_tenant(bucket: Bucket, upload: Upload, tenant: str) -> None:
    bear(bucket, "signed-id", signed_source("uploads", KEY), DEFAULT_TENANT, "key-0")
    job_id, owner = born(bucket, upload, tenant, sent="signed-id")
    assert (job_id != "signed-id", owner) == (True, None)


def test_an_id_that_was_guessed_is_no_obstacle(bucket: Bucket) -> None:
    """Where S3 keeps no versions, an upload's etag can be computed, and so the id of its job."""
    guessed, _ = born(bucket, UPLOAD)
    for key in (birth_key(guessed), birth_of_source_key("upload:uploads/uploads/beach.zip@1")):
        bucket.delete(key, None)
    bear(bucket, guessed, "a", DEFAULT_TENANT, "key-1")
    job_id, _ = born(bucket, UPLOAD)
    assert job_id.startswith("beach-") and len(job_id) > len(guessed)


def test_an_id_fits_whatever_the_title() -> None:
    assert len(new_job_id("a" * 200, "token", 23)) == 64
    assert new_job_id("\u202e!", "token").startswith("survey-")


def test_continuing_twice_with_one_id_is_one_job(bucket: Bucket, table: JobTable) -> None:
    bucket.put_manifest(request_key("old-job"), requested("old-job"))
    wishes = Submission(job_id="my-id", options={"preset": "draft"})
    first, second = (continue_job(bucket, table, "old-job", StageName.SFM, wishes) for _ in range(2))
    assert first == second
    for other in (Submission(job_id="my-id"), Submission(job_id="my-id", options={"preset": "draft"}, owner="key-1")):
        with pytest.raises(Conflict):
            continue_job(bucket, table, "old-job", StageName.SFM, other)


def test_a_continuation_that_was_killed_after_its_birth_goes_on(
    bucket: Bucket, table: JobTable, at_write: Arrange
) -> None:
    bucket.put_manifest(request_key("old-job"), requested("old-job"))
    at_write(1, kill)
    with pytest.raises(Killed):
        continue_job(bucket, table, "old-job", StageName.SFM, Submission(job_id="my-id"))
    assert continue_job(bucket, table, "old-job", StageName.SFM, Submission(job_id="my-id")).job_id == "my-id"
    assert continue_job(bucket, table, "old-job", StageName.SFM).job_id == "old-job-r1"

"""Jobs beyond a tenant's limits: an upload is rejected with the sentence; a call is refused and leaves nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from function_cases import Batch, Context, call, deploy, put_tenants
from pipeline_cases import photo_zip, requested, staged

from functions.api import app as api
from functions.sweeper import app as sweeper
from spaceport.pipeline.contract import DEFAULT_TENANT, AnyManifest, Birth, EndManifest, JobState, StageName, now
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs import accept
from spaceport.pipeline.jobs.accept import accept_upload, continue_job
from spaceport.pipeline.jobs.ending import stop_job
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.jobs.recovery import rebuild_table
from spaceport.pipeline.jobs.submission import Submission
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.jobs.tracker import on_manifest
from spaceport.pipeline.layout import JOBS, birth_key, end_key, request_key, stage_manifest_key
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Limits, Tenants, UnreadableTenants

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def batch(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> Batch:
    deploy(monkeypatch)
    fake = Batch()
    monkeypatch.setattr(sweeper, "batch", lambda: fake)
    return fake


def drop(bucket: Bucket, uploads: Bucket, table: JobTable, name: str, submission: Submission | None = None) -> Any:
    key = f"uploads/{name}.zip"
    uploads.client.put_object(Bucket="uploads", Key=key, Body=photo_zip(4), Metadata={"job-id": name})
    return accept_upload(bucket, table, uploads, key, DEFAULT_TENANT, submission)


def limit(bucket: Bucket, **limits: float) -> None:
    put_tenants(bucket, {DEFAULT_TENANT: {"limits": limits}})


def open_jobs(table: JobTable) -> set[str]:
    return set(Quotas(table).open_jobs(DEFAULT_TENANT))


def assert_over_quota(manifest: AnyManifest, what: str) -> None:
    assert isinstance(manifest, EndManifest) and manifest.failure
    assert (manifest.state, manifest.failure.slug) == (JobState.REJECTED, Slug.OVER_QUOTA)
    assert what in manifest.message


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"open_jobs": 1}, "1 unfinished jobs at once"),
        ({"usd_per_day": 0.2}, "jobs of $0.20 a day, of which this one is estimated to cost $0.13"),
        ({"gigabytes_per_day": 6e-7}, "uploads of 6e-07 GB a day"),
    ],
)
def test_an_upload_beyond_a_limit_is_rejected(
    bucket: Bucket, uploads: Bucket, table: JobTable, limits: dict[str, float], what: str
) -> None:
    limit(bucket, **limits)
    assert drop(bucket, uploads, table, "first").kind == "request"
    assert_over_quota(drop(bucket, uploads, table, "second"), what)
    assert open_jobs(table) == {"first"}


def test_the_same_event_twice_takes_one_place(bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
    limit(bucket, open_jobs=1)
    first = drop(bucket, uploads, table, "first")
    assert accept_upload(bucket, table, uploads, "uploads/first.zip", DEFAULT_TENANT) == first
    assert open_jobs(table) == {"first"}


def test_a_rejected_upload_counts_its_bytes_and_takes_no_place(
    bucket: Bucket, uploads: Bucket, table: JobTable
) -> None:
    uploads.client.put_object(Bucket="uploads", Key="uploads/a.zip", Body=b"no zip at all", Metadata={"job-id": "bad"})
    accept_upload(bucket, table, uploads, "uploads/a.zip", DEFAULT_TENANT)
    assert open_jobs(table) == set()
    with pytest.raises(Refused):
        Quotas(table).check_upload(DEFAULT_TENANT, Limits(gigabytes_per_day=20e-9), 10)


def test_a_call_beyond_a_limit_leaves_the_upload_for_later(bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
    limit(bucket, open_jobs=0)
    with pytest.raises(Refused, match="0 unfinished jobs"):
        drop(bucket, uploads, table, "first", Submission())
    assert table.get("first") is None
    limit(bucket, open_jobs=1)
    assert drop(bucket, uploads, table, "first", Submission()).kind == "request"


def test_what_a_tenant_may_not_continue_leaves_nothing_behind(bucket: Bucket, table: JobTable) -> None:
    limit(bucket, open_jobs=1)
    bucket.put_manifest(request_key("old-job"), requested("old-job"))
    bucket.put_manifest(stage_manifest_key("old-job", StageName.TRAIN), staged(StageName.TRAIN, "old-job"))
    assert continue_job(bucket, table, "old-job", StageName.COMPRESS).job_id == "old-job-r1"
    before = {item.key for item in bucket.list_objects(JOBS)}
    with pytest.raises(Refused, match="1 unfinished jobs"):
        continue_job(bucket, table, "old-job", StageName.COMPRESS)
    assert {item.key for item in bucket.list_objects(JOBS)} == before


def test_limits_that_a_function_knows_are_not_read_again(
    bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "read_tenants", None)
    uploads.client.put_object(Bucket="uploads", Key="uploads/a.zip", Body=photo_zip(4), Metadata={"job-id": "first"})
    begun = accept_upload(bucket, table, uploads, "uploads/a.zip", DEFAULT_TENANT, tenants=Tenants())
    assert begun.kind == "request"
    full = Tenants.model_validate({"tenants": {"default": {"limits": {"open_jobs": 1}}}})
    with pytest.raises(Refused, match="1 unfinished jobs"):
        continue_job(bucket, table, "first", StageName.SFM, tenants=full)


def test_a_continued_job_is_reserved_for_what_is_left_of_it(bucket: Bucket, table: JobTable) -> None:
    limit(bucket, usd_per_day=0.05)
    bucket.put_manifest(request_key("old-job"), requested("old-job"))
    bucket.put_manifest(stage_manifest_key("old-job", StageName.TRAIN), staged(StageName.TRAIN, "old-job"))
    with pytest.raises(Refused, match="estimated to cost"):
        continue_job(bucket, table, "old-job", StageName.SFM, Submission(job_id="another"))
    assert continue_job(bucket, table, "old-job", StageName.COMPRESS, Submission(job_id="cheap")).job_id == "cheap"


def test_the_same_continuation_again_needs_no_place(bucket: Bucket, table: JobTable) -> None:
    bucket.put_manifest(request_key("old-job"), requested("old-job"))
    wishes = Submission(job_id="my-id")
    first = continue_job(bucket, table, "old-job", StageName.SFM, wishes)
    limit(bucket, open_jobs=0)
    assert continue_job(bucket, table, "old-job", StageName.SFM, wishes) == first


def test_nobody_is_let_in_by_limits_that_cannot_be_read(bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
    bucket.put_small("tenants.json", b"{")
    with pytest.raises(UnreadableTenants):
        drop(bucket, uploads, table, "first")
    assert bucket.read_manifest(end_key("first")) is None


def test_an_end_gives_the_place_back_however_it_is_recorded(bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
    for name in ("first", "second"):
        drop(bucket, uploads, table, name)
    stop_job(bucket, table, "first")
    assert open_jobs(table) == {"second"}
    end = bucket.read_manifest(end_key("first"))
    assert end
    Quotas(table).restore_jobs(DEFAULT_TENANT, {"first"})  # as if killed before it was given back
    on_manifest(bucket, table, end.key)
    on_manifest(bucket, table, request_key("first"))  # late
    assert open_jobs(table) == {"second"}


def test_a_rebuilt_table_counts_the_jobs_that_are_there(bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
    for name in ("first", "second", "third"):
        drop(bucket, uploads, table, name)
    stop_job(bucket, table, "first")
    Quotas(table).release_job(DEFAULT_TENANT, "second")
    Quotas(table).restore_jobs(DEFAULT_TENANT, {"first"})
    rebuild_table(bucket, table)
    assert open_jobs(table) == {"second", "third"}


def birth(bucket: Bucket, job_id: str, minutes: int) -> None:
    born = Birth(job_id=job_id, source="any", created_at=now() - timedelta(minutes=minutes))
    bucket.put_small(birth_key(job_id), born.model_dump_json().encode())


def test_the_sweeper_frees_places_of_jobs_that_ended_or_never_began(
    bucket: Bucket, uploads: Bucket, table: JobTable
) -> None:
    for name in ("ended", "open"):
        drop(bucket, uploads, table, name)
        manifest = bucket.read_manifest(request_key(name))
        assert manifest
        table.record(manifest.manifest)
    stop_job(bucket, table, "ended")
    birth(bucket, "killed", 11)
    birth(bucket, "beginning", 1)
    bucket.put_manifest(request_key("unrecorded"), requested("unrecorded"))
    Quotas(table).restore_jobs(DEFAULT_TENANT, {"ended", "killed", "beginning", "unrecorded", "unborn"})
    assert sweeper.handler({}, Context())["freed"] == 3
    assert open_jobs(table) == {"open", "beginning", "unrecorded"}


def test_the_sweeper_goes_on_where_tenants_cannot_be_read(bucket: Bucket) -> None:
    bucket.put_small("tenants.json", b"{")
    assert sweeper.handler({}, Context()) == {}


def ask(name: str, body: Any) -> tuple[int, dict[str, Any]]:
    answer = api.handler(call(name, body), Context())
    return answer["statusCode"], json.loads(answer["body"])


def test_the_api_answers_429_with_the_sentence(bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
    limit(bucket, open_jobs=0, gigabytes_per_day=1)
    uploads.client.put_object(Bucket="uploads", Key="uploads/a.zip", Body=photo_zip(4))
    for name, body in (
        ("api_start_nested", {"s3Url": "s3://uploads/uploads/a.zip"}),
        ("api_uploads", {"name": "Beach", "bytes": 1000}),
    ):
        status, answer = ask(name, body)
        assert (status, answer["slug"]) == (429, "over_quota")
        assert "0 unfinished jobs at once. Wait until one has ended" in answer["sentence"]
    limit(bucket, gigabytes_per_day=1)
    assert "uploads of 1 GB a day" in ask("api_uploads", {"name": "Beach", "bytes": 1_000_000_001})[1]["sentence"]

"""The intake function: an upload's event in, one job or one rejection out."""

from __future__ import annotations

import pytest
from function_cases import Context, deploy, event
from pipeline_cases import photo_zip

from functions.intake.app import handler
from spaceport.pipeline.contract import EndManifest, JobState, RequestManifest
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import end_key, request_key
from spaceport.pipeline.storage import Bucket

KEY = "uploads/brighton_beach.zip"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch)


def put(uploads: Bucket, body: bytes, *, key: str = KEY, **metadata: str) -> None:
    uploads.client.put_object(Bucket=uploads.name, Key=key, Body=body, Metadata=metadata)


@pytest.mark.parametrize("name", ["upload_put", "upload_multipart"])
def test_an_upload_becomes_a_job(uploads: Bucket, bucket: Bucket, name: str) -> None:
    put(uploads, photo_zip(5), **{"email": "pilot@example.com", "job-name": "Beach", "options": '{"preset": "draft"}'})
    response = handler(event(name, KEY), Context())
    stored = bucket.read_manifest(request_key(response["job_id"]))
    assert stored and isinstance(stored.manifest, RequestManifest)
    assert (stored.manifest.photos, stored.manifest.request.name) == (5, "Beach")
    assert stored.manifest.request.email == "pilot@example.com"
    assert stored.manifest.request.options.preset == "draft"


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("uploads/field+barn.zip", "uploads/field+barn.zip"),
        ("uploads/overlap 80%.zip", "uploads/overlap 80%.zip"),
        ("uploads/50%25.zip", "uploads/50%25.zip"),
        ("uploads/field+barn.zip", "uploads/field%2Bbarn.zip"),
        ("uploads/my field.zip", "uploads/my+field.zip"),
    ],
)
def test_no_key_is_lost_whether_it_comes_as_it_is_or_encoded(uploads: Bucket, key: str, sent: str) -> None:
    put(uploads, photo_zip(5), key=key)
    assert handler(event("upload_put", sent), Context())["kind"] == "request"


def test_the_same_event_twice_is_one_job(uploads: Bucket, bucket: Bucket) -> None:
    put(uploads, photo_zip(5))
    first, second = (handler(event("upload_put", KEY), Context()) for _ in range(2))
    assert first == second
    assert len(list(bucket.list_folders("jobs/"))) == 1


def test_a_bad_upload_is_rejected_at_once(uploads: Bucket, bucket: Bucket) -> None:
    put(uploads, b"not a zip at all", email="pilot@example.com")
    response = handler(event("upload_put", KEY), Context())
    stored = bucket.read_manifest(end_key(response["job_id"]))
    assert stored and isinstance(stored.manifest, EndManifest)
    assert stored.manifest.state is JobState.REJECTED
    assert stored.manifest.failure and stored.manifest.failure.slug is Slug.NOT_A_ZIP


def test_an_upload_that_is_gone_is_no_job(bucket: Bucket) -> None:
    assert handler(event("upload_put", KEY), Context()) == {}
    assert list(bucket.list_folders("jobs/")) == []


def test_a_zip_that_is_not_below_the_uploads_is_no_job(uploads: Bucket, bucket: Bucket) -> None:
    uploads.client.put_object(Bucket=uploads.name, Key="elsewhere/a.zip", Body=photo_zip(5))
    assert handler(event("upload_put", "elsewhere/a.zip"), Context()) == {}
    assert list(bucket.list_folders("jobs/")) == []

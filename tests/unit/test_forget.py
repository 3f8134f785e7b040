"""A job that is forgotten leaves nothing; others lose nothing; a run that was killed can be repeated."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_cases import photo_zip, staged

from spaceport.pipeline import layout
from spaceport.pipeline.contract import DEFAULT_TENANT, JobState, RequestManifest, StageName
from spaceport.pipeline.errors import Conflict, UnknownJob
from spaceport.pipeline.jobs.accept import accept_upload, continue_job
from spaceport.pipeline.jobs.ending import end_job
from spaceport.pipeline.jobs.forget import forget_job, jobs_of_email
from spaceport.pipeline.jobs.submission import Submission
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

MAIL = "pilot@example.com"


@pytest.fixture(autouse=True)
def _versioned(bucket: Bucket, uploads: Bucket) -> None:
    for each in (bucket, uploads):
        each.client.put_bucket_versioning(Bucket=each.name, VersioningConfiguration={"Status": "Enabled"})


def begin(bucket: Bucket, table: JobTable, uploads: Bucket, name: str, email: str = MAIL) -> str:
    """A job of an upload of its own, with files."""
    key = f"uploads/{name}.zip"
    uploads.client.put_object(Bucket=uploads.name, Key=key, Body=photo_zip(4), Metadata={"email": email})
    manifest = accept_upload(bucket, table, uploads, key, DEFAULT_TENANT)
    assert isinstance(manifest, RequestManifest)
    table.record(manifest)
    for content in (b"old", b"new"):
        path = f"{layout.job_prefix(manifest.job_id)}extracted/a.jpg"
        bucket.client.put_object(Bucket=bucket.name, Key=path, Body=content)
    return manifest.job_id


def end(bucket: Bucket, table: JobTable, job_id: str) -> None:
    end_job(bucket, table, job_id, JobState.STOPPED, message="stopped")


def everything(*buckets: Bucket) -> set[tuple[str, str]]:
    """Every version of every object, and every marker of a deletion."""
    pages = [each.client.list_object_versions(Bucket=each.name) for each in buckets]
    return {
        (entry["Key"], entry["VersionId"])
        for page in pages
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    }


def rows(table: JobTable) -> list[dict[str, Any]]:
    return sorted(table.table.scan()["Items"], key=str)


def test_nothing_of_a_forgotten_job_is_left_and_all_of_others(bucket: Bucket, table: JobTable, uploads: Bucket) -> None:
    other = begin(bucket, table, uploads, "other")
    before, rows_before = everything(bucket, uploads), rows(table)
    job_id = begin(bucket, table, uploads, "field")
    end(bucket, table, job_id)
    gone = forget_job(bucket, uploads, table, job_id)
    assert everything(bucket, uploads) == before
    assert [row for row in rows(table) if not row["job_id"].startswith("tenant#")] == [
        row for row in rows_before if not row["job_id"].startswith("tenant#")
    ]
    assert gone.objects >= 6 and gone.rows >= 1
    assert table.get(other)


def test_a_job_at_work_is_not_forgotten(bucket: Bucket, table: JobTable, uploads: Bucket) -> None:
    job_id = begin(bucket, table, uploads, "field")
    before = everything(bucket, uploads)
    with pytest.raises(Conflict, match="Stop it first"):
        forget_job(bucket, uploads, table, job_id)
    assert everything(bucket, uploads) == before


def test_a_job_whose_files_another_uses_is_not_forgotten_before_that(
    bucket: Bucket, table: JobTable, uploads: Bucket
) -> None:
    job_id = begin(bucket, table, uploads, "field")
    colmap = staged(StageName.SFM, job_id)
    bucket.put_manifest(layout.stage_manifest_key(job_id, StageName.SFM), colmap)
    end(bucket, table, job_id)
    later = continue_job(bucket, table, job_id, StageName.TRAIN, Submission())
    table.record(later)
    end(bucket, table, later.job_id)
    with pytest.raises(Conflict, match=later.job_id):
        forget_job(bucket, uploads, table, job_id)
    assert [row.job_id for row in jobs_of_email(table, MAIL.upper())] == [later.job_id, job_id]
    for row in jobs_of_email(table, MAIL):
        forget_job(bucket, uploads, table, row.job_id)
    assert everything(bucket, uploads) == set()


def test_a_job_is_forgotten_without_reading_the_rows_of_all(
    bucket: Bucket, table: JobTable, uploads: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = begin(bucket, table, uploads, "field")
    end(bucket, table, job_id)
    monkeypatch.setattr(table, "by_state", None)
    assert forget_job(bucket, uploads, table, job_id).rows >= 1


def test_an_unknown_job_is_a_sentence(bucket: Bucket, table: JobTable, uploads: Bucket) -> None:
    with pytest.raises(UnknownJob, match="There is no job"):
        forget_job(bucket, uploads, table, "nobody-knows-it")


@pytest.mark.parametrize("survived", range(5))
def test_a_run_that_was_killed_can_be_repeated(
    bucket: Bucket, table: JobTable, uploads: Bucket, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    job_id = begin(bucket, table, uploads, "field")
    end(bucket, table, job_id)
    calls = iter(range(survived))

    def killed(make: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return make(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(bucket.client, "delete_objects", killed(bucket.client.delete_objects))
        patch.setattr(uploads.client, "delete_object", killed(uploads.client.delete_object))
        patch.setattr(table.table, "delete_item", killed(table.table.delete_item))
        with pytest.raises((KeyboardInterrupt, ClientError)):
            forget_job(bucket, uploads, table, job_id)
    forget_job(bucket, uploads, table, job_id)
    assert everything(bucket, uploads) == set()
    assert not [row for row in rows(table) if row["job_id"] == job_id]

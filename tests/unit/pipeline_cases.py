"""Makers of manifests and zips for the pipeline's tests."""

from __future__ import annotations

import io
import time
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

from boto3.dynamodb.conditions import Key

from spaceport.pipeline.contract import (
    AnyManifest,
    EndManifest,
    JobState,
    Outcome,
    Request,
    RequestManifest,
    StageManifest,
    StageName,
)
from spaceport.pipeline.jobs.table import JobTable, LeaseAnswer
from spaceport.pipeline.layout import end_key, request_key, stage_manifest_key
from spaceport.pipeline.storage import Bucket

JOB = "beach-0123456789"
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def request(**changes: Any) -> Request:
    fields = {"name": "Beach", "email": "pilot@example.com", "received_at": START}
    return Request.model_validate(fields | changes)


def requested(job_id: str = JOB, **changes: Any) -> RequestManifest:
    return RequestManifest(job_id=job_id, created_at=START, request=request(**changes), photos=18)


def staged(stage: StageName, job_id: str = JOB, **changes: Any) -> StageManifest:
    place = list(StageName).index(stage) + 1
    outcome = changes.pop("outcome", None) or Outcome(
        message=f"{stage} done",
        counts={"gaussians": 1000 * place, stage.value: place},
        quality={f"{stage}_db": 20.5 + place},
    )
    return StageManifest(
        job_id=job_id,
        stage=stage,
        created_at=START + timedelta(minutes=place),
        request=request(**changes),
        input=None,
        artefacts=[],
        outcome=outcome,
        code_version="0.1.0",
        instance_type="local",
        seconds=10.0 * place,
        usd=0.01 * place,
    )


def take_over(table: JobTable, stage: StageName) -> None:
    """Another worker takes over an expired lease, by its own clock, while the first one's heartbeat goes on."""
    later = JobTable(table.table.name, clock=lambda: time.time() + 1000)
    assert later.acquire(JOB, stage, "x", "batch-2", 1) is LeaseAnswer.GRANTED


def ended(state: JobState = JobState.COMPLETED, job_id: str = JOB) -> EndManifest:
    return EndManifest(
        job_id=job_id, created_at=START + timedelta(minutes=9), state=state, request=request(), message="over"
    )


def whole_job(state: JobState = JobState.COMPLETED) -> list[AnyManifest]:
    return [requested(), *(staged(stage) for stage in StageName), ended(state)]


def key_of(manifest: AnyManifest) -> str:
    match manifest:
        case RequestManifest():
            return request_key(manifest.job_id)
        case StageManifest():
            return stage_manifest_key(manifest.job_id, manifest.stage)
    return end_key(manifest.job_id)


def photo_zip(photos: int = 3, extra: dict[str, bytes] | None = None) -> bytes:
    """A zip whose entries are named like photos; only their names are looked at by intake."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(photos):
            archive.writestr(zipfile.ZipInfo(f"photos/{number:03}.jpg"), b"\xff\xd8 not looked at")
        for name, data in (extra or {}).items():
            archive.writestr(zipfile.ZipInfo(name), data)  # without today's time: the same zip each time
    return file.getvalue()


def forget(table: JobTable, job_id: str) -> None:
    """Lose all rows of a job."""
    answer = table.table.query(KeyConditionExpression=Key("job_id").eq(job_id), ConsistentRead=True)
    with table.table.batch_writer() as batch:
        for item in answer["Items"]:
            batch.delete_item(Key={"job_id": item["job_id"], "record": item["record"]})


def begin(bucket: Bucket, table: JobTable, *manifests: AnyManifest) -> None:
    """Write manifests, and the rows that they make."""
    for manifest in manifests:
        bucket.put_manifest(key_of(manifest), manifest)
        table.record(manifest)

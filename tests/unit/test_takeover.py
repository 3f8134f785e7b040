"""No entry point takes over the id of another job, whatever state that job is in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from boto3.dynamodb.conditions import Key
from function_cases import Batch, Context, call, deploy, event
from pipeline_cases import JOB, ended, key_of, photo_zip, requested, staged, whole_job

from functions.api import actions, app
from functions.intake.app import handler as intake
from spaceport.pipeline.contract import AnyManifest, JobState, StageName
from spaceport.pipeline.jobs.accept import continue_job
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.storage import Bucket

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing
OWN_ZIP, OWN_JOB = "uploads/own.zip", "own-job"


@pytest.fixture(autouse=True)
def _deployed(bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(monkeypatch)
    batch = Batch()
    monkeypatch.setattr(actions, "batch", lambda: batch)
    own: list[AnyManifest] = [requested(OWN_JOB), *(staged(stage, OWN_JOB) for stage in StageName)]
    for manifest in own:
        bucket.put_manifest(key_of(manifest), manifest)
        table.record(manifest)


class Deployment:
    """What an attack acts on."""

    def __init__(self, bucket: Bucket, uploads: Bucket, table: JobTable) -> None:
        self.bucket, self.uploads, self.table = bucket, uploads, table

    def put_manifests(self, *manifests: AnyManifest) -> str:
        for manifest in manifests:
            self.bucket.put_manifest(key_of(manifest), manifest)
            self.table.record(manifest)
        return manifests[0].job_id

    def put_upload(self, key: str, body: bytes, **metadata: str) -> None:
        named = {name.replace("_", "-"): value for name, value in metadata.items()}
        self.uploads.client.put_object(Bucket=self.uploads.name, Key=key, Body=body, Metadata=named)

    def objects(self, job_id: str) -> dict[str, bytes]:
        keys = [item.key for item in self.bucket.list_objects(f"jobs/{job_id}/")]
        return {key: self.bucket.read_small(key, 1 << 20) or b"" for key in keys}

    def rows(self, job_id: str) -> list[Any]:
        return list(self.table.table.query(KeyConditionExpression=Key("job_id").eq(job_id))["Items"])


@pytest.fixture
def deployment(bucket: Bucket, uploads: Bucket, table: JobTable) -> Deployment:
    return Deployment(bucket, uploads, table)


def ask(name: str, body: Any) -> tuple[int, dict[str, Any]]:
    response = app.handler(call(name, body), Context())
    return response["statusCode"], json.loads(response["body"])


def signed(deployment: Deployment) -> str:
    return str(ask("api_uploads", {"name": "victim", "bytes": 100})[1]["jobId"])


def received(deployment: Deployment, body: bytes | None = None) -> str:
    deployment.put_upload("uploads/victim.zip", body or photo_zip(7))
    return str(intake(event("upload_put", "uploads/victim.zip"), Context())["job_id"])


def rejected(deployment: Deployment) -> str:
    return received(deployment, b"no zip")


def continued(deployment: Deployment) -> str:
    deployment.put_manifests(*whole_job(JobState.STOPPED))
    begun = continue_job(deployment.bucket, deployment.table, JOB, StageName.TRAIN)
    deployment.table.record(begun)
    return begun.job_id


def of_old(*manifests: AnyManifest) -> Callable[[Deployment], str]:
    """Of the time when there were no births."""
    return lambda deployment: deployment.put_manifests(*manifests)


VICTIMS: dict[str, Callable[[Deployment], str]] = {
    "signed": signed,
    "received": received,
    "rejected": rejected,
    "continued": continued,
    "old, received": of_old(requested()),
    "old, training": of_old(requested(), staged(StageName.SFM)),
    "old, compressing": of_old(requested(), staged(StageName.SFM), staged(StageName.TRAIN)),
    "old, continued at training": of_old(staged(StageName.SFM, "victim-r1", continues=JOB)),
    "old, continued at compression": of_old(staged(StageName.TRAIN, "victim-r1", continues=JOB)),
    "old, completed": of_old(*whole_job()),
    "old, rejected": of_old(ended(JobState.REJECTED)),
}


def start_with_id(deployment: Deployment, victim: str) -> None:
    status, body = ask("api_start_nested", {"s3Url": f"s3://uploads/{OWN_ZIP}", "jobId": victim})
    assert (status, body["slug"]) == (409, "conflict")
    assert victim in body["sentence"]


def continue_with_id(step: str) -> Callable[[Deployment, str], None]:
    def attack(deployment: Deployment, victim: str) -> None:
        status, body = ask("api_start_later", {"continues": OWN_JOB, "pipelineStep": step, "jobId": victim})
        assert (status, body["slug"]) == (409, "conflict")
        assert victim in body["sentence"]

    return attack


def upload_with_id(deployment: Deployment, victim: str) -> None:
    """It does not vanish: it is a job of its own."""
    deployment.put_upload(OWN_ZIP, photo_zip(5), job_id=victim, email="other@example.com")
    job_id = intake(event("upload_put", OWN_ZIP), Context())["job_id"]
    assert job_id not in {victim, ""}
    stored = deployment.bucket.read_manifest(f"jobs/{job_id}/request/manifest.json")
    assert stored
    assert stored.manifest.request.email == "other@example.com"


ATTACKS: dict[str, Callable[[Deployment, str], None]] = {
    "start-job": start_with_id,
    "continue at sfm": continue_with_id("sfm"),
    "continue at training": continue_with_id("3dgs"),
    "continue at compression": continue_with_id("compression"),
    "upload": upload_with_id,
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_job_is_not_taken_over(deployment: Deployment, victim: str) -> None:
    deployment.put_upload(OWN_ZIP, photo_zip(5))
    job_id = VICTIMS[victim](deployment)
    for attack in ATTACKS.values():
        objects, rows = deployment.objects(job_id), deployment.rows(job_id)
        attack(deployment, job_id)
        assert deployment.objects(job_id) == objects
        assert deployment.rows(job_id) == rows

"""Training that is cut off goes on from its checkpoint: after SIGTERM, after SIGKILL, after the whole cloud died."""

from __future__ import annotations

import json
import os
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cloud_cases import TINY, Cloud, Crashing, the_process
from waiting import until

from spaceport.demo import Survey
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline import layout
from spaceport.pipeline.contract import JobState, StageManifest, StageName

SHORT, LONG, EARLY = 2_000, 15_000, 100
"""Iterations. The long ones take half a minute on one core: the first checkpoint comes within 15 seconds."""


def options(iterations: int) -> dict[str, Any]:
    train = {"max_iterations": iterations, "image_size": 128, "max_looks": 10_000, "plateau_stop": False, "threads": 1}
    return TINY | {"train": train, "compress_enabled": False}


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, 75), pytest.param(signal.SIGKILL, 137, marks=pytest.mark.slow)]
)
def test_a_training_whose_process_is_ended_goes_on_in_its_next_try(
    cloud: Cloud, survey: Survey, sent: signal.Signals, code: int
) -> None:
    iterations = LONG if sent is signal.SIGKILL else SHORT
    job = cloud.upload(survey.zip_path, "to-resume", options(iterations))
    if sent is signal.SIGKILL:
        until_kept(cloud, job)
    else:
        cloud.until(job, lambda row: row.stage is StageName.TRAIN and int(row.live.get("iteration", 0)) > EARLY, 300)
    os.kill(the_process(cloud.embedded.state, "services."), sent)
    batch_job = until_batch(cloud, "RUNNING")
    assert batch_job["attempts"][0]["container"]["exitCode"] == code
    spent_before = cloud.deployment.table.stages(job)[StageName.TRAIN].spent
    assert spent_before > 0
    assert cloud.ended(job).state is JobState.COMPLETED, cloud.logs()
    assert_went_on(cloud, job, iterations, spent_before)
    after = until_batch(cloud, "SUCCEEDED")
    assert after["jobId"] == batch_job["jobId"]
    assert [each["container"]["exitCode"] for each in after["attempts"]] == [code, 0]


@pytest.mark.slow
def test_a_training_goes_on_after_the_whole_cloud_was_killed(survey: Survey, tmp_path: Path) -> None:
    state = tmp_path / "state"
    crashing = Crashing(state)
    try:
        cloud = Cloud(crashing)
        job = cloud.upload(survey.zip_path, "to-crash", options(LONG))
        until_kept(cloud, job)
    finally:
        crashing.kill()
    with EmbeddedCloud(state) as embedded:
        again = Cloud(embedded)
        assert again.ended(job).state is JobState.COMPLETED, again.logs()
        assert_went_on(again, job, LONG)


def until_kept(cloud: Cloud, job: str) -> None:
    """Wait until the bucket has a checkpoint."""
    until(lambda: cloud.deployment.bucket.head(layout.checkpoint_key(job, StageName.TRAIN)), cloud.logs)


def until_batch(cloud: Cloud, status: str) -> dict[str, Any]:
    """Wait until the training's Batch job has had an attempt and is in a state."""
    (log,) = (cloud.embedded.state / "logs").glob("train-*.log")
    batch_id = log.stem.removeprefix("train-")
    job: dict[str, Any] = {}

    def reached() -> bool:
        job.update(cloud.deployment.batch.describe_jobs(jobs=[batch_id])["jobs"][0])
        return job["status"] == status and bool(job["attempts"])

    until(reached, cloud.logs)
    return job


def assert_went_on(cloud: Cloud, job: str, most: int, spent_before: float = 0.0) -> None:
    """The last try did not begin anew, the curve is that of one run to iteration `most`, no checkpoint is left.

    And the manifest counts the seconds `spent_before` by the first try, beside those of the last.
    """
    logs = "".join(file.read_text() for file in (cloud.embedded.state / "logs").glob("train-*.log"))
    begun = [int(iteration) for iteration in re.findall(r"resuming after iteration (\d+)", logs)]
    assert len(begun) == 1, cloud.logs()
    assert EARLY <= begun[0] < most
    bucket = cloud.deployment.bucket
    answer = bucket.client.get_object(Bucket=bucket.name, Key=f"jobs/{job}/gaussian/training.log")
    curve = [json.loads(line) for line in answer["Body"].read().splitlines()]
    iterations = [entry["iteration"] for entry in curve]
    assert iterations == sorted(set(iterations))
    assert iterations[0] < begun[0] < iterations[-1] == most
    assert [entry["seconds"] for entry in curve] == sorted(entry["seconds"] for entry in curve)
    stored = bucket.read_manifest(layout.stage_manifest_key(job, StageName.TRAIN))
    assert stored
    assert isinstance(stored.manifest, StageManifest)
    last_try = curve[-1]["seconds"] - max(entry["seconds"] for entry in curve if entry["iteration"] <= begun[0])
    assert stored.manifest.seconds > spent_before + last_try
    key = layout.checkpoint_key(job, StageName.TRAIN)
    assert key not in {artefact.key for artefact in stored.manifest.artefacts}
    versions = partial(bucket.client.list_object_versions, Bucket=bucket.name, Prefix=key)
    until(lambda: "Versions" not in versions())  # it goes right after the manifest, which is what ended the job
    assert "DeleteMarkers" not in versions()

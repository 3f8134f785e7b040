"""Stops and crashes in the middle of each stage: nothing lost, nothing done twice, nothing left behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cloud_cases import LONG, TINY, Cloud, Crashing, workers
from random_models import noise
from waiting import until

from spaceport.demo import Survey
from spaceport.local.children import survivors
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.contract import JobState, StageName
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.layout import stage_manifest_key

SLOW_SFM = TINY | {"sfm": {"max_image_size": 2048, "max_features": 16384, "first_octave": -1}}
OPTIONS = {StageName.SFM: SLOW_SFM, StageName.TRAIN: LONG}
CRASHED = OPTIONS | {
    StageName.TRAIN: TINY
    | {
        "train": {"max_iterations": 1500, "max_looks": 1000, "image_size": 128, "threads": 1},
        "compress_enabled": False,
    }
}
HOMES = {StageName.SFM: "colmap", StageName.TRAIN: "gaussian", StageName.COMPRESS: "compressed"}


def catch(cloud: Cloud, job: str, stage: StageName) -> None:
    """Wait until a stage is in the middle of its work. Compression is short: catch its process as it starts."""
    if stage is not StageName.COMPRESS:
        cloud.working_on(job, stage, 300)
        return
    cloud.until(job, lambda row: row.state is JobState.COMPRESSING, 300)
    until(lambda: list((cloud.embedded.state / "work").glob("*/*compress")), cloud.logs)


def test_a_stop_ends_a_job_and_its_work_in_each_stage(cloud: Cloud, survey: Survey) -> None:
    for stage in (StageName.SFM, StageName.TRAIN):
        assert_stops(cloud, cloud.upload(survey.zip_path, f"stopped-in-{stage}", OPTIONS[stage]), stage)
    assert_stops(cloud, cloud.compress(noise(20_000), "stopped-in-compress", {}), StageName.COMPRESS)


def assert_stops(cloud: Cloud, job: str, stage: StageName) -> None:
    earlier = len(cloud.mails(0))
    catch(cloud, job, stage)
    end = cloud.deployment.stop(job)
    assert end.state is JobState.STOPPED
    assert cloud.ended(job).state is JobState.STOPPED
    until(lambda: not workers(cloud.embedded.state), cloud.logs)
    until(lambda: not list((cloud.embedded.state / "work").iterdir()), cloud.logs)
    time.sleep(1)
    assert HOMES[stage] not in cloud.manifest_keys(job)
    (mail,) = cloud.mails(earlier + 1)[earlier:]
    assert "stopped" in mail["Subject"].lower()


@pytest.mark.parametrize(
    "stage", [pytest.param(each, marks=() if each is StageName.COMPRESS else pytest.mark.slow) for each in StageName]
)
def test_a_crash_in_each_stage_is_made_good(survey: Survey, tmp_path: Path, stage: StageName) -> None:
    state = tmp_path / "state"
    crashing = Crashing(state)
    try:
        cloud = Cloud(crashing)
        if stage is StageName.COMPRESS:
            job = cloud.compress(noise(1000), "to-crash", {})
        else:
            job = cloud.upload(survey.zip_path, "to-crash", CRASHED[stage])
        catch(cloud, job, stage)
        before = {item.key: item.etag for item in read_manifests(cloud.deployment.bucket, job)}
    finally:
        crashing.kill()
    old_logs = {path.name for path in (state / "logs").glob("*-*.log")}
    with EmbeddedCloud(state) as embedded:
        again = Cloud(embedded)
        row = again.ended(job)
        assert row.state is JobState.COMPLETED, again.logs()
        after = {item.key: item.etag for item in read_manifests(again.deployment.bucket, job)}
        new_runs = {path.name.split("-")[0] for path in (state / "logs").glob("*-*.log") if path.name not in old_logs}
    assert before.items() <= after.items(), "a manifest was written again"
    finished = {each for each in StageName if stage_manifest_key(job, each) in before}
    assert new_runs.isdisjoint(finished), "a stage that had its manifest ran again"
    assert survivors(state.resolve()) == []
    assert not list((state / "work").iterdir())

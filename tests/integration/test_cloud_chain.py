"""The whole chain through the embedded cloud: real events, real functions, real stages."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from cloud_cases import MAIL, Cloud
from cloud_fixtures import running_cloud
from waiting import until

from spaceport.cli.results import download_results
from spaceport.demo import Survey, load_truth
from spaceport.demo.align import align
from spaceport.local import cloud as embedded_cloud
from spaceport.local import translate
from spaceport.local.cloud import ROOT, STACK
from spaceport.pipeline.contract import JobState, StageName
from spaceport.pipeline.jobs.state import JobRecord
from spaceport.pipeline.layout import manifest_key
from spaceport.pipeline.reports.viewer import ViewerSettings
from spaceport.splats.cameras import read_cameras
from spaceport.splats.formats.ply import read_ply

STEPS: dict[str, tuple[JobState | None, list[str]]] = {
    "UploadToIntake": (None, []),
    "RequestToSfm": (JobState.RECEIVED, ["request"]),
    "ColmapToTrain": (JobState.TRAINING, ["request", "colmap"]),
    "GaussianToCompress": (JobState.COMPRESSING, ["request", "colmap", "gaussian"]),
}
"""Each rule, and where a job stands without it: its state, and the folders whose manifests it has."""


class Doubled:
    """The template with every rule twice: each event is then delivered twice, by the rules themselves."""

    def __init__(self, load: Any) -> None:
        self._load = load

    def __call__(self, template: Path) -> Any:
        tree = self._load(template)
        rules = {name: item for name, item in tree["Resources"].items() if item["Type"] == "AWS::Events::Rule"}
        for name, rule in rules.items():
            tree["Resources"][f"{name}Again"] = copy.deepcopy(rule)
        return tree


@pytest.fixture
def doubled_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(translate, "load", Doubled(translate.load))
    with running_cloud(tmp_path / "state") as cloud:
        yield cloud


def test_each_rule_moves_a_job_one_step_and_a_zip_becomes_a_splat_though_each_event_comes_twice(
    doubled_cloud: Cloud, survey: Survey, tmp_path: Path
) -> None:
    cloud, job = doubled_cloud, "small-survey"
    _switch(cloud, *STEPS, on=False)
    cloud.upload(survey.zip_path, job)
    for rule, (state, made) in STEPS.items():
        if state is not None:
            cloud.until(job, partial(_is_in, state), 300)
        with pytest.raises(AssertionError, match="not within"):
            cloud.until(job, partial(_has_left, state), seconds=1.5)
        assert cloud.manifest_keys(job) == set(made)
        _switch(cloud, rule, on=True)
        if made:
            cloud.deployment.bucket.nudge(manifest_key(job, made[-1]))
        else:
            cloud.upload(survey.zip_path, job)
    row = cloud.ended(job)
    assert row.state is JobState.COMPLETED, cloud.logs()
    assert row.percent == 100
    assert set(row.seconds) == {"sfm", "train", "compress"}
    assert row.counts["registered"] == row.counts["photos"] == survey.photos
    assert cloud.manifest_keys(job) == {"request", "colmap", "gaussian", "compressed", "end"}

    out = tmp_path / "out"
    files = {path.relative_to(out).as_posix() for path in download_results(cloud.deployment.bucket, job, out)}
    assert {"compressed/model.sog", "compressed/meta.json", "gaussian/model.ply", "colmap/report.json"} <= files
    viewer = ViewerSettings.model_validate_json((out / "compressed/viewer.json").read_bytes())
    assert (out / "compressed/poster.jpg").exists() and len(viewer.flight.keys) == 60
    georeference = json.loads((out / "colmap/georeference.json").read_text())
    assert viewer.metric.is_metric == georeference["metric"]
    assert len(read_ply(out / "gaussian/model.ply").means) == row.counts["gaussians"]
    assert (out / "compressed/model.sog").stat().st_size == row.counts["sog_bytes"]
    _cameras_are_where_they_were(out, survey)

    runs = _runs(cloud.embedded.state, 6)
    (mail,) = cloud.mails(1)
    assert MAIL in json.dumps(mail)
    time.sleep(2)
    assert len(cloud.mails(1)) == 1, "and no second mail came"
    assert runs == ["compress"] * 2 + ["sfm"] * 2 + ["train"] * 2, "each event submitted a job twice"
    claims = {stage: record.claims for stage, record in cloud.deployment.table.stages(job).items()}
    assert claims == dict.fromkeys(StageName, 1), "and each stage's work was done once"


def _is_in(state: JobState | None, row: JobRecord) -> bool:
    return row.state is state


def _has_left(state: JobState | None, row: JobRecord) -> bool:
    return row.state is not state


def _switch(cloud: Cloud, *rules: str, on: bool) -> None:
    """Switch rules and their doubles on or off."""
    stacks, events = (cloud.embedded.access.client(name) for name in ("cloudformation", "events"))
    for rule in (*rules, *(f"{rule}Again" for rule in rules)):
        detail = stacks.describe_stack_resource(StackName=STACK, LogicalResourceId=rule)["StackResourceDetail"]
        (events.enable_rule if on else events.disable_rule)(Name=detail["PhysicalResourceId"])


def _cameras_are_where_they_were(out: Path, survey: Survey) -> None:
    truth = load_truth(survey.truth_path)
    true = {camera.name: camera.position for camera in truth.cameras}
    registered = {Path(camera.name).name: camera.position for camera in read_cameras(out / "gaussian/cameras.json")}
    names = sorted(registered)
    assert names == sorted(true)
    fit = align(np.array([registered[name] for name in names]), np.array([true[name] for name in names]))
    assert fit.residuals.max() < 0.005 * truth.scene_size
    # training keeps the frame: metres, up is up, and what it made lies on the ground below the drone
    assert fit.scale == pytest.approx(1, abs=0.005)
    assert np.degrees(np.arccos(fit.rotation[2, 2])) < 1
    heights = fit.apply(read_ply(out / "gaussian/model.ply").means.astype(np.float64))[:, 2]
    assert abs(np.median(heights)) < 5
    assert np.mean(heights < min(place[2] for place in true.values())) > 0.95


def _runs(state: Path, count: int) -> list[str]:
    """Which Batch jobs were begun, by their logs; the duplicate of the last stage may still be on its way."""
    until(lambda: len(list((state / "logs").glob("*-*.log"))) >= count)
    return sorted(path.name.split("-")[0] for path in (state / "logs").glob("*-*.log"))


def test_a_template_is_only_read_by_the_translation() -> None:
    """No stage, bucket or rule of the template is named in the code of the embedded cloud."""
    names = [name for name in yaml.compose((ROOT / "template.yaml").read_text()).value if name[0].value == "Resources"]
    logical = [key.value for key, _ in names[0][1].value]
    sources = [path.read_text() for path in Path(embedded_cloud.__file__).parent.rglob("*.py")]
    named = {name for name in logical if any(f'"{name}"' in source for source in sources)}
    assert named <= {"PipelineBucket", "UploadsBucket", "JobTable"}, "outputs of the stack may be named, wiring may not"

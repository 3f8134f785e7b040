"""A model that no SOG comes near enough to: the job ends as degraded, says why, and the model itself is delivered."""

from __future__ import annotations

import json
from pathlib import Path

from cloud_cases import Cloud
from random_models import noise

from spaceport.cli.results import download_results
from spaceport.pipeline.contract import JobState
from spaceport.splats.formats.ply import read_ply

JOB = "unlike-anything"


def test_the_ply_is_delivered_when_no_preset_rescues_the_sog(cloud: Cloud, tmp_path: Path) -> None:
    cloud.compress(noise(300), JOB, {"compress": {"min_psnr": 99}})
    row = cloud.ended(JOB)
    assert row.state is JobState.COMPLETED_DEGRADED, cloud.logs()
    assert "99.0 dB were asked for" in row.message, row.message
    out = tmp_path / "out"
    files = {path.relative_to(out).as_posix() for path in download_results(cloud.deployment.bucket, JOB, out)}
    assert {"gaussian/model.ply", "compressed/report.json", "compressed/preview.jpg"} <= files
    assert "compressed/model.sog" not in files
    assert len(read_ply(out / "gaussian/model.ply")) == 300
    attempts = json.loads((out / "compressed/report.json").read_text())["attempts"]
    assert attempts and all(attempt["sog_psnr"] < 99 for attempt in attempts)
    (mail,) = cloud.mails(1)
    assert "99.0 dB" in json.dumps(mail)

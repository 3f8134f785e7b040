"""The three images, built here, take the demo survey from zip to SOG: `make images-test`, part of `make test-slow`.

In minutes: the first time gigabytes are fetched. CUDA_ARCHITECTURES="7.5;9.0" compiles gsplat's kernels too, half an
hour on two cores. What was measured is printed (`-s`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_cases import Cloud
from containers import MACHINE, ContainerRunner, container_properties, megabytes, memory_groups
from engine import Engine, missing
from surveys import shared_survey
from template import ROOT

import spaceport.local.cloud
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline import layout
from spaceport.pipeline.contract import JobState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(4 * 3600),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

IMAGES = ("sfm", "compress", "train")
ITERATIONS = 300
PUBLISHED = (
    *("colmap/report.json", "colmap/report.html", "colmap/thumbs-0.webp"),
    *("gaussian/model.ply", "gaussian/preview.jpg", "gaussian/training.png"),
    *("compressed/model.sog", "compressed/report.html", "compressed/viewer.json"),
    *("compressed/poster.jpg", "compressed/flight.mp4"),
)
"""By a job whose stages lack nothing; live pictures are taken away when the stage has ended."""
OPTIONS: dict[str, Any] = {
    "preset": "draft",
    "sfm": {"max_image_size": 512, "max_features": 2048},
    "train": {"max_iterations": ITERATIONS, "image_size": 256, "max_gaussians": 10_000},
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The images, built; what was measured is printed in the end."""
    engine = Engine()
    engine.make_base()
    for image in IMAGES:
        architectures = {"CUDA_ARCHITECTURES": os.environ.get("CUDA_ARCHITECTURES", "")} if image == "train" else {}
        engine.build(image, **architectures)
    yield engine
    for image in IMAGES:
        print(f"\n{image}: {engine.megabytes(image)} MB", end="")
    for name, seconds in engine.seconds.items():
        print(f"\n{name}: {seconds:.1f} s", end="")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_starts_as_its_user(engine: Engine, image: str) -> None:
    begin = time.monotonic()
    container = engine.container(image)
    try:
        script = f"import os; assert os.getuid() == 1000; import services.{image}.stage"
        engine.run("run", "--isolation", "chroot", container, "--", "python", "-c", script)
        engine.seconds[f"start {image}"] = time.monotonic() - begin
        inventory = engine.run(
            "run", "--isolation", "chroot", container, "--", "cat", "/usr/share/spaceport/packages.txt"
        )
        assert "boto3==" in inventory
        assert ("torch==2.13.0" in inventory) == (image == "train")
    finally:
        engine.remove(container)


def test_the_containers_take_a_survey_from_zip_to_sog(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "machine"
    machine.mkdir()
    (machine / "instance-type").write_text(MACHINE)
    ContainerRunner.engine, ContainerRunner.machine = engine, machine
    monkeypatch.setattr(spaceport.local.cloud, "Runner", ContainerRunner)
    with memory_groups() as peaks, EmbeddedCloud(tmp_path / "state") as embedded:
        cloud = Cloud(embedded)
        job = cloud.upload(shared_survey(12, 512, 384).zip_path, "containers", OPTIONS)
        row = cloud.ended(job, 3600)
        assert row.state is JobState.COMPLETED, cloud.logs()
        bucket = cloud.deployment.bucket
        keys = {each.key.removeprefix(layout.job_prefix(job)) for each in bucket.list_objects(layout.job_prefix(job))}
        report = json.loads(bucket.read_small(f"{layout.job_prefix(job)}gaussian/report.json", 1 << 20) or b"")
    assert set(PUBLISHED) <= keys, "a library that a stage can do without is not in its image"
    assert report["counts"]["iterations"] == ITERATIONS
    for image, peak in peaks.items():
        limit = megabytes(container_properties(f"{image.capitalize()}Job"))
        print(f"\n{image}: {peak} MiB of {limit} at most", end="")
        assert peak < limit


def test_no_image_holds_what_only_a_build_needs(engine: Engine) -> None:
    container = engine.container("train")
    try:
        script = "import shutil, sys; sys.exit(any(map(shutil.which, ('nvcc', 'g++', 'gcc', 'ninja-build'))))"
        engine.run("run", "--isolation", "chroot", container, "--", "python", "-c", script)
    finally:
        engine.remove(container)


def test_the_reason_for_a_skip_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(ROOT))
    assert "apt-get install" in str(missing())

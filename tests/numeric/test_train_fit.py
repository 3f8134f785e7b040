"""The whole stage on a tiny scene with known truth: Gaussians drawn by our own rasteriser from a ring of cameras."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from services.train.plan import make_plan
from services.train.stage import run
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.errors import Interrupted, LostResource, Refused, Slug
from spaceport.pipeline.options import TrainOptions
from spaceport.pipeline.progress import Count, Silent
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians
from spaceport.splats.ply import read_ply
from spaceport.splats.render import render

SIDE, PHOTOS, COUNT = 96, 16, 300
PLACE, SIZE = np.array([500.0, -200.0, 40.0]), 12.0  # far from the origin and metric, as a survey is
OPTIONS = TrainOptions(
    max_iterations=500, max_gaussians=1_000, sh_degree=1, plateau_stop=False, threads=2, device="cpu"
)


@dataclass(frozen=True)
class Truth:
    gaussians: Gaussians
    cameras: list[Camera]
    source: Path


def ball(random: np.random.Generator) -> Gaussians:
    means = random.normal(size=(COUNT, 3))
    means *= random.uniform(0.3, 1, (COUNT, 1)) / np.linalg.norm(means, axis=1, keepdims=True)
    arrays: dict[str, npt.NDArray[np.float64]] = {
        "means": means * SIZE * 0.3 + PLACE,
        "quats": random.normal(size=(COUNT, 4)),
        "scales": np.log(SIZE * random.uniform(0.02, 0.05, (COUNT, 3))),
        "opacities": random.uniform(1, 4, COUNT),
        "sh0": random.uniform(-1.5, 1.5, (COUNT, 1, 3)),
        "shN": np.zeros((COUNT, 0, 3)),
    }
    return Gaussians(**{name: array.astype(np.float32) for name, array in arrays.items()})


def ring(index: int) -> Camera:
    angle, rise = 2 * math.pi * index / PHOTOS, 0.4 * math.sin(3 * index)
    eye = PLACE + SIZE * np.array([math.cos(angle), math.sin(angle), rise])
    forward = (PLACE - eye) / np.linalg.norm(PLACE - eye)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return Camera(f"{index:02}.png", SIDE, SIDE, 1.2 * SIDE, 1.2 * SIDE, SIDE / 2, SIDE / 2, pose)


def quaternion(rotation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """wxyz: the eigenvector of Bar-Itzhack's matrix."""
    r = rotation
    matrix = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    found: npt.NDArray[np.float64] = np.linalg.eigh(matrix)[1][:, -1]
    return found


def write_source(folder: Path, truth: Gaussians, cameras: list[Camera]) -> Path:
    dense = folder / "colmap" / "dense"
    (dense / "sparse").mkdir(parents=True)
    (dense / "images").mkdir()
    images = struct.pack("<Q", len(cameras))
    for index, camera in enumerate(cameras):
        picture = (np.clip(render(truth, camera, threads=2), 0, 1) * 255 + 0.5).astype(np.uint8)
        Image.fromarray(picture).save(dense / "images" / camera.name)
        pose = (*quaternion(camera.world_to_camera[:3, :3]), *camera.world_to_camera[:3, 3])
        images += struct.pack("<i7di", index, *pose, 1) + camera.name.encode() + b"\0" + struct.pack("<Q", 0)
    lens = struct.pack("<QiiQQ4d", 1, 1, 1, SIDE, SIDE, cameras[0].fx, cameras[0].fy, cameras[0].cx, cameras[0].cy)
    points = struct.pack("<Q", COUNT)
    for index in range(COUNT):
        grey = np.clip(truth.sh0[index, 0] * 0.28209479 + 0.5, 0, 1) * 255
        points += struct.pack("<Q3d3BdQ", index, *truth.means[index], *(int(value) for value in grey), 0.5, 0)
    for name, content in (("cameras", lens), ("images", images), ("points3D", points)):
        (dense / "sparse" / f"{name}.bin").write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    gaussians = ball(np.random.default_rng(0))
    cameras = [ring(index) for index in range(PHOTOS)]
    return Truth(gaussians, cameras, write_source(tmp_path_factory.mktemp("ring"), gaussians, cameras))


@pytest.fixture(scope="module")
def trained(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    output = tmp_path_factory.mktemp("trained")
    return run(truth.source, output, OPTIONS, Silent()), output / "gaussian"


def test_photos_that_were_held_out_are_shown_well(trained: tuple[Outcome, Path]) -> None:
    outcome, _ = trained
    assert outcome.quality["psnr_held_out"] > 30
    assert outcome.quality["psnr_train"] > 30
    assert outcome.counts["gaussians"] == 1_000


def test_the_model_lies_in_the_frame_of_the_reconstruction(truth: Truth, trained: tuple[Outcome, Path]) -> None:
    """A camera at its original pose sees in model.ply what it saw of the truth: no frame of training is left in it."""
    outcome, home = trained
    model = read_ply(home / "model.ply")
    scores = []
    for camera, known in zip(read_cameras(home / "cameras.json"), truth.cameras, strict=True):
        np.testing.assert_allclose(camera.world_to_camera, known.world_to_camera, atol=1e-9)
        if camera.held_out:
            scores.append(psnr(render(model, camera, threads=2), render(truth.gaussians, known, threads=2)))
    assert len(scores) == 2
    assert np.mean(scores) == pytest.approx(outcome.quality["psnr_held_out"], abs=0.3)


def test_everything_that_was_promised_is_written(trained: tuple[Outcome, Path]) -> None:
    outcome, home = trained
    assert {path.name for path in home.iterdir()} == {
        *("model.ply", "cameras.json", "training.log", "preview.jpg", "report.json")
    }
    assert outcome.counts["ply_bytes"] == (home / "model.ply").stat().st_size
    header = (home / "model.ply").read_bytes()[:4000].split(b"end_header")[0]
    assert header.count(b"property float") == 62
    lines = [json.loads(line) for line in (home / "training.log").read_text().splitlines()]
    assert lines[-1]["iteration"] == 500
    assert lines[0].keys() == {"iteration", "loss", "psnr", "gaussians", "seconds", "level"}
    assert [line["level"] for line in lines] == sorted(line["level"] for line in lines)
    report = json.loads((home / "report.json").read_text())
    assert len(report["views"]) == PHOTOS
    assert report["counts"]["stopped_by"] == "iterations"
    with Image.open(home / "preview.jpg") as preview:
        assert preview.size[0] > 3 * SIDE


SHORT = OPTIONS.model_copy(update={"max_iterations": 60})


def test_equal_seeds_and_threads_give_equal_bytes(truth: Truth, tmp_path: Path) -> None:
    for name in ("first", "second"):
        run(truth.source, tmp_path / name, SHORT, Silent())
    first, second = (tmp_path / name / "gaussian" / "model.ply" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    run(truth.source, tmp_path / "third", SHORT.model_copy(update={"seed": 1}), Silent())
    assert (tmp_path / "third" / "gaussian" / "model.ply").read_bytes() != first.read_bytes()


class CutAfter(Silent):
    """The machine goes after so many calls of `check`."""

    def __init__(self, checks: int) -> None:
        self.left = checks
        self.fractions: list[float] = []

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        self.fractions.append(fraction)


def test_a_training_cut_off_goes_on_to_the_same_bytes(truth: Truth, tmp_path: Path) -> None:
    run(truth.source, tmp_path / "whole", SHORT, Silent())
    with pytest.raises(Interrupted):
        run(truth.source, tmp_path / "cut", SHORT, CutAfter(37))
    assert (tmp_path / "cut" / "gaussian" / "checkpoint").exists()
    second = CutAfter(10_000)
    run(truth.source, tmp_path / "cut", SHORT, second)
    assert second.fractions[1] > 37 / 60  # it did not begin anew
    assert not (tmp_path / "cut" / "gaussian" / "checkpoint").exists()
    whole, cut = (tmp_path / name / "gaussian" for name in ("whole", "cut"))
    assert (whole / "model.ply").read_bytes() == (cut / "model.ply").read_bytes()
    curves = [
        [{**json.loads(line), "seconds": 0} for line in (home / "training.log").read_text().splitlines()]
        for home in (whole, cut)
    ]
    assert curves[0] == curves[1]


@pytest.mark.parametrize("damage", ["garbage", "other options"])
def test_a_checkpoint_that_does_not_fit_is_not_continued(truth: Truth, tmp_path: Path, damage: str) -> None:
    options = SHORT
    if damage == "garbage":
        (tmp_path / "gaussian").mkdir()
        (tmp_path / "gaussian" / "checkpoint").write_bytes(b"\x80\x04garbage")
    else:
        with pytest.raises(Interrupted):
            run(truth.source, tmp_path, SHORT, CutAfter(20))
        options = SHORT.model_copy(update={"seed": 5})
    progress = CutAfter(10_000)
    run(truth.source, tmp_path, options, progress)
    assert progress.fractions[1] == pytest.approx(10 / 60)


def test_it_ends_at_the_target(truth: Truth, tmp_path: Path) -> None:
    outcome = run(truth.source, tmp_path, OPTIONS.model_copy(update={"target_psnr": 20.0}), Silent())
    assert outcome.counts["stopped_by"] == "target_psnr"
    assert int(outcome.counts["iterations"]) < 500
    assert outcome.quality["psnr_held_out"] > 19.9


def test_a_loss_that_is_no_number_is_said(truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "services.train.schedule.RATES", {"scales": 1e30, "quats": 1, "opacities": 1, "sh0": 1e38, "shN": 1}
    )
    with pytest.raises(Refused) as caught:
        run(truth.source, tmp_path, SHORT, Silent())
    assert caught.value.slug is Slug.TRAINING_DIVERGED


def test_a_full_disk_is_the_machines_fault(truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.train.publish.write_ply", full)
    with pytest.raises(LostResource) as caught:
        run(truth.source, tmp_path, SHORT, Silent())
    assert caught.value.slug is Slug.DISK_FULL


def test_the_plan_is_the_same_for_the_same_input(truth: Truth) -> None:
    dense = truth.source / "colmap" / "dense"
    assert make_plan(dense, SHORT).fingerprint == make_plan(dense, SHORT).fingerprint
    assert make_plan(dense, SHORT).fingerprint != make_plan(dense, OPTIONS).fingerprint

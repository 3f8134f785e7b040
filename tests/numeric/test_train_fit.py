"""The whole stage on a tiny scene with known truth: Gaussians drawn by our own rasteriser from a ring of cameras."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ring_scene import OPTIONS, PHOTOS, SIDE, Truth, make_truth

from services.compress.proving.held_out import compare_held_out, read_held_out
from services.compress.proving.proof import Prover
from services.compress.proving.views import views_of_photos
from services.compress.report_page.inputs import read_earlier
from services.train.estimate import EVALUATION_COST
from services.train.hyperparameters import Hyperparameters
from services.train.plan import TrainingPlan, first_points, make_plan
from services.train.publish import publish
from services.train.seeding import Points
from services.train.stage import run
from services.train.trainer import Trainer
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.errors import Interrupted, LostResource, Refused, Slug
from spaceport.pipeline.pricing import cost_usd
from spaceport.pipeline.reports.train import TrainReport
from spaceport.progress import Count, Silent
from spaceport.splats.cameras import read_cameras
from spaceport.splats.formats.ply import read_ply
from spaceport.splats.metrics import psnr
from spaceport.splats.render import render


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return make_truth(tmp_path_factory.mktemp("ring"))


@pytest.fixture(scope="module")
def trained(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    output = tmp_path_factory.mktemp("trained")
    return run(truth.source, output, OPTIONS, Silent()), output / "gaussian"


def test_photos_that_were_held_out_are_shown_well(trained: tuple[Outcome, Path]) -> None:
    outcome, _ = trained
    assert outcome.quality["psnr_held_out"] > 30
    assert outcome.quality["psnr_train"] > 30
    assert int(outcome.counts["gaussians"]) + int(outcome.counts["pruned"]) == 1_000


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


def test_compression_sees_the_held_out_photos_as_training_did(trained: tuple[Outcome, Path]) -> None:
    outcome, home = trained
    model, cameras = read_ply(home / "model.ply"), read_cameras(home / "cameras.json")
    photos = read_held_out(home, read_earlier(home.parent, cameras).held_out_photos, cameras)
    scores = compare_held_out(model, model, photos, Prover(model, views_of_photos(cameras[:1]), Silent()))
    assert scores is not None and scores.photos == 2
    assert scores.model == pytest.approx(outcome.quality["psnr_held_out"], abs=0.3)


def test_everything_that_was_promised_is_written(trained: tuple[Outcome, Path]) -> None:
    outcome, home = trained
    assert {path.name for path in home.iterdir()} == {
        *("model.ply", "cameras.json", "training.log", "training.png", "preview.jpg", "report.json"),
        *("held-out-0.jpg", "held-out-1.jpg"),
    }
    assert outcome.counts["ply_bytes"] == (home / "model.ply").stat().st_size
    header = (home / "model.ply").read_bytes()[:4000].split(b"end_header")[0]
    assert header.count(b"property float") == 62
    lines = [json.loads(line) for line in (home / "training.log").read_text().splitlines()]
    assert lines[-1]["iteration"] == 500
    assert lines[0].keys() == {"iteration", "loss", "psnr", "gaussians", "seconds", "level"}
    assert [line["level"] for line in lines] == sorted(line["level"] for line in lines)
    report = json.loads((home / "report.json").read_text())
    parsed = TrainReport.model_validate(report)
    assert json.loads(json.dumps(parsed.model_dump(mode="json", exclude_unset=True))) == report
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
        self.iterations: list[int] = []

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        if "iteration" in counts:
            self.iterations.append(int(counts["iteration"]))


def test_a_training_cut_off_goes_on_to_the_same_bytes(
    truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(truth.source, tmp_path / "whole", SHORT, Silent())
    with pytest.raises(Interrupted):
        run(truth.source, tmp_path / "cut", SHORT, CutAfter(37))
    assert (tmp_path / "cut" / "gaussian" / "checkpoint").exists()
    second = CutAfter(10_000)
    monkeypatch.delattr("services.train.plan.seed_points")  # only a beginning looks for seeds
    run(truth.source, tmp_path / "cut", SHORT, second)
    assert second.iterations[0] > 20  # it did not begin anew
    assert not (tmp_path / "cut" / "gaussian" / "checkpoint").exists()
    whole, cut = (tmp_path / name / "gaussian" for name in ("whole", "cut"))
    assert (whole / "model.ply").read_bytes() == (cut / "model.ply").read_bytes()
    curves = [
        [{**json.loads(line), "seconds": 0} for line in (home / "training.log").read_text().splitlines()]
        for home in (whole, cut)
    ]
    assert curves[0] == curves[1]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
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
    assert progress.iterations[0] == 10


def test_it_ends_at_the_target(truth: Truth, tmp_path: Path) -> None:
    outcome = run(truth.source, tmp_path, OPTIONS.model_copy(update={"target_psnr": 20.0}), Silent())
    assert outcome.counts["stopped_by"] == "target_psnr"
    assert int(outcome.counts["iterations"]) < 500
    assert outcome.quality["psnr_held_out"] > 19.9


def test_a_deadline_shortens_the_schedule_and_every_phase_is_reached(truth: Truth, tmp_path: Path) -> None:
    ticks = itertools.count()
    limited = OPTIONS.model_copy(update={"max_iterations": 50_000, "max_minutes": 0.25})
    outcome = run(truth.source, tmp_path, limited, Silent(), clock=lambda: 0.01 * next(ticks))
    entries = [json.loads(line) for line in (tmp_path / "gaussian/training.log").read_text().splitlines()]
    assert outcome.counts["stopped_by"] == "time"
    assert 12 < entries[-1]["seconds"] <= 15.5
    assert entries[-1]["level"] == 1.0
    assert entries[-1]["gaussians"] == 1_000
    assert outcome.quality["psnr_held_out"] > 25


def test_the_dollars_last_for_what_comes_before_and_after_the_iterations_too(
    truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of them is gone before the first iteration, and evaluating a photo takes as long as five iterations."""
    now, calls = 0.0, 0

    def clock() -> float:
        nonlocal now, calls
        now, calls = now + 0.01, calls + 1
        return now

    def slow_points(*args: Any) -> Points:
        nonlocal now
        now += 5.0
        return first_points(*args)

    def slow_publish(plan: TrainingPlan, trainer: Trainer, *args: Any) -> Outcome:
        nonlocal now
        now += EVALUATION_COST * len(plan.training_set.evaluation) * 0.01 * calls / trainer.iteration
        return publish(plan, trainer, *args)

    monkeypatch.setattr("services.train.stage.first_points", slow_points)
    monkeypatch.setattr("services.train.stage.publish", slow_publish)
    monkeypatch.setenv("SPACEPORT_INSTANCE_TYPE", "g4dn.xlarge")
    dollars = cost_usd("g4dn.xlarge", 15.0)
    limited = OPTIONS.model_copy(update={"max_iterations": 50_000, "max_usd": dollars})
    outcome = run(truth.source, tmp_path, limited, Silent(), clock=clock)
    assert outcome.counts["stopped_by"] == "budget"
    assert 0.8 * dollars < cost_usd("g4dn.xlarge", now) <= 1.02 * dollars


def test_a_loss_that_is_no_number_is_reported(truth: Truth, tmp_path: Path) -> None:
    diverging = Hyperparameters(learning_rates={"scales": 1e30, "quats": 1, "opacities": 1, "sh0": 1e38, "shN": 1})
    with pytest.raises(Refused) as caught:
        run(truth.source, tmp_path, SHORT, Silent(), hyperparameters=diverging)
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

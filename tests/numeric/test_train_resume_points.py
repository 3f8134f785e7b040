"""A training that is killed again and again ends where the uncut one does; a damaged checkpoint begins anew."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import killed_training
import pytest
import torch
from ring_scene import OPTIONS, SIDE, Truth, make_truth

from services.train.hyperparameters import Hyperparameters
from services.train.plan import Decisions
from services.train.stage import run
from spaceport.pipeline.errors import Interrupted
from spaceport.progress import Silent

ITERATIONS = 400
LONG = OPTIONS.model_copy(update={"max_iterations": ITERATIONS, "threads": 1})
SHORT = OPTIONS.model_copy(update={"max_iterations": 40, "threads": 1})
NO_SEEDS = Hyperparameters(seed_fraction=0)  # the plane sweep takes longer than 40 iterations
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return make_truth(tmp_path_factory.mktemp("ring"))


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_killed_at_random_points_it_ends_within_a_tenth_of_a_decibel(truth: Truth, tmp_path: Path, kills: int) -> None:
    uncut = run(truth.source, tmp_path / "uncut", LONG, Silent())
    seed = kills  # where exactly in a step, or in the writing of a checkpoint, is left to chance
    points = sorted(random.Random(seed).sample(range(60, ITERATIONS - 80), kills))
    begun = 0
    for point in points:
        code, began_at = train(truth, tmp_path / "cut", point)
        assert code == -signal.SIGKILL, f"seed {seed}"
        assert began_at >= begun
        begun = began_at
    code, began_at = train(truth, tmp_path / "cut", 0)
    assert code == 0
    assert began_at > 0, f"seed {seed}: it began anew"
    report = json.loads((tmp_path / "cut/gaussian/report.json").read_text())
    for name in ("psnr_held_out", "psnr_train"):
        assert report["quality"][name] == pytest.approx(uncut.quality[name], abs=0.1), f"seed {seed}"
    iterations = [entry["iteration"] for entry in report["curve"]]
    assert iterations == sorted(set(iterations))
    assert iterations[-1] == ITERATIONS
    left = {path.name for path in (tmp_path / "cut/gaussian").iterdir()}
    assert not [name for name in left if name.startswith("checkpoint")]


def train(truth: Truth, output: Path, iteration: int) -> tuple[int, int]:
    """Train until it is killed at an iteration (0: never). Returns its exit code and where it began."""
    words = [str(truth.source), str(output), LONG.model_dump_json(), str(iteration)]
    done = subprocess.run(
        [sys.executable, killed_training.__file__, *words],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    resumed = re.search(r"resuming after iteration (\d+)", done.stderr)
    return done.returncode, int(resumed[1]) if resumed else 0


class CutAfter(Silent):
    def __init__(self, checks: int) -> None:
        self.left = checks

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted


@pytest.fixture(scope="module")
def cut(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good checkpoint of SHORT."""
    output = tmp_path_factory.mktemp("cut")
    with pytest.raises(Interrupted):
        run(truth.source, output, SHORT, CutAfter(20), hyperparameters=NO_SEEDS)
    return (output / "gaussian" / "checkpoint").read_bytes()


def test_on_another_machine_it_goes_on_with_what_it_had_decided(
    truth: Truth, cut: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gaussian").mkdir()
    (tmp_path / "gaussian" / "checkpoint").write_bytes(cut)
    monkeypatch.setattr("services.train.plan._decide", lambda *_: Decisions(64, 1_000, 2_000, "another machine"))
    outcome = run(truth.source, tmp_path, SHORT, Silent(), hyperparameters=NO_SEEDS)
    assert (outcome.counts["iterations"], outcome.counts["cap"]) == (40, 1_000)
    report = json.loads((tmp_path / "gaussian/report.json").read_text())
    assert report["image_size"] == SIDE
    assert report["curve"][0]["iteration"] == 10


class Code:
    """Unpickled by the plain way, it leaves a file."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.touch, (Path("/tmp/spaceport-test-was-here"),))


def changed(part: str, key: str | None, value: Any) -> Callable[[bytes, Path], None]:
    def damage(good: bytes, path: Path) -> None:
        path.write_bytes(good)
        state = torch.load(path, weights_only=True)
        if key is None:
            state[part] = value
        else:
            state[part][key] = value
        torch.save(state, path)

    return damage


DAMAGES: dict[str, Callable[[bytes, Path], Any]] = {
    "empty": lambda good, path: path.write_bytes(b""),
    "cut short": lambda good, path: path.write_bytes(good[: len(good) // 2]),
    "its end is gone": lambda good, path: path.write_bytes(good[:-1]),
    "code": lambda good, path: path.write_bytes(pickle.dumps(Code())),
    "code in a zip": lambda good, path: torch.save({"version": Code()}, path),
    "a list": lambda good, path: torch.save([1, 2], path),
    "iteration": changed("iteration", None, 10**9),
    "decisions": changed("decisions", "gaussians", 10**12),
    "no decisions": changed("decisions", None, [1, 2]),
    "text for a number": changed("iteration", None, "many"),
    "more at first than ever": changed("start", None, 10**9),
    "photos": changed("order", None, [99]),
    "sizes": changed("radii", None, torch.zeros(3)),
    "moments": changed("optimiser", "first", {}),
    "parameters": changed("optimiser", "parameters", {"means": torch.zeros(5, 3)}),
    "exposures": changed("exposures", "values", []),
    "random": changed("random", None, [torch.zeros(1), torch.zeros(1)]),
    "best": changed("best", None, {"means": torch.zeros(1)}),
    "curve": changed("curve", None, [{"iteration": 1}]),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_hostile_checkpoint_begins_anew(
    truth: Truth, cut: bytes, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    mark = Path("/tmp/spaceport-test-was-here")
    mark.unlink(missing_ok=True)
    (tmp_path / "gaussian").mkdir()
    DAMAGES[damage](cut, tmp_path / "gaussian" / "checkpoint")
    caplog.set_level(logging.INFO)
    outcome = run(truth.source, tmp_path, SHORT, Silent(), hyperparameters=NO_SEEDS)
    assert outcome.counts["iterations"] == 40
    assert "starting over" in caplog.text
    assert "resuming" not in caplog.text
    assert not mark.exists()


def test_a_good_one_is_used(truth: Truth, cut: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Or the test above would show nothing."""
    (tmp_path / "gaussian").mkdir()
    (tmp_path / "gaussian" / "checkpoint").write_bytes(cut)
    caplog.set_level(logging.INFO)
    run(truth.source, tmp_path, SHORT, Silent(), hyperparameters=NO_SEEDS)
    assert "resuming after iteration 20" in caplog.text

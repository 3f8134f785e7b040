"""The whole stage, with its search and its default options, on any model at all: true, repeatable, and stable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from sog_cases import assert_within_steps, models

from services.compress.proving.proof import Prover
from services.compress.proving.views import views_of_model
from services.compress.stage import run
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.errors import Refused
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Silent
from spaceport.splats.formats.ply import read_ply, write_ply
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.quality import Quality
from spaceport.splats.sog.codec.encode import prepare
from spaceport.splats.sog.codec.reader import read_sog

few = settings(max_examples=10)


def compressed(model: Gaussians, folder: Path) -> Outcome | None:
    """What became of the model in `folder`/compressed; None if no Gaussian of it could be stored."""
    (folder / "gaussian").mkdir(parents=True)
    write_ply(folder / "gaussian/model.ply", model)
    try:
        return run(folder, folder, CompressOptions(), Silent())
    except Refused as refused:
        assert "no Gaussian" in str(refused)
        return None


def assert_true(outcome: Outcome, folder: Path) -> None:
    """The report and the published file say the same, and the file is the model to within the steps chosen for it."""
    report = json.loads((folder / "compressed/report.json").read_text())
    model = read_ply(folder / "gaussian/model.ply")
    assert outcome.counts["gaussians"] == len(model) - sum(report["dropped"].values()) == report["gaussians"]
    if outcome.degraded:
        assert not (folder / "compressed/model.sog").exists() and report["published"] is False
        assert "30.0 dB were asked for" in outcome.degraded.sentence and report["sog_psnr"] < 30
        return
    decoded = read_sog(folder / "compressed/model.sog")
    stored = prepare(model, seed=0).stored
    meta = json.loads((folder / "compressed/meta.json").read_text())
    assert_within_steps(stored, decoded, meta, Quality(**report["quality"]))
    proven = Prover(model, views_of_model(stored), Silent()).compare(decoded)
    assert proven.mean == pytest.approx(report["sog_psnr"], abs=1e-6)


@given(model=models)
@few
def test_any_model_is_stored_as_is_said_or_not_at_all(
    model: Gaussians, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    if outcome := compressed(model, folder):
        assert_true(outcome, folder)


@given(model=models)
@few
def test_ply_to_sog_to_ply_to_sog_is_stable(model: Gaussians, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The second time nobody is left out and everything stays within its steps."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    outcome = compressed(model, first)
    if outcome is None or outcome.degraded:
        return
    once = read_sog(first / "compressed/model.sog")
    again = compressed(once, second)
    assert again is not None
    assert_true(again, second)
    assert int(again.counts["dropped"]) == 0
    if not again.degraded:
        twice = read_sog(second / "compressed/model.sog")
        assert np.array_equal(np.sort(once.opacities), np.sort(twice.opacities))

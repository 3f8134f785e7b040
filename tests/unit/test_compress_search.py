"""The search gives up nothing while a target is missed, and says truly how far the format goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_models import gaussians

from services.compress.core import Compressed, compress
from services.compress.proving.flown import choose_views
from services.compress.proving.proof import Prover
from services.compress.rate_control.allocation import TIE_DB, decisive_psnr
from services.compress.report import missed_target
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Silent
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.quality import FINEST
from spaceport.splats.sog.codec.encode import make_draft, prepare, sh_features
from spaceport.splats.sog.codec.reader import read_bundle
from spaceport.splats.sog.palette.palette import find_distinct, quantise_palette

COUNT = 700


@pytest.fixture(scope="module")
def model() -> Gaussians:
    """Each Gaussian with strong SH of its own, of all three bands: half as many centroids are too few."""
    random = np.random.default_rng(8)
    return gaussians(
        means=random.uniform(-4, 4, (COUNT, 3)) * (1, 1, 0.02),
        quats=random.normal(size=(COUNT, 4)),
        scales=random.normal(-1.7, 0.2, (COUNT, 3)),
        opacities=random.normal(1, 1, COUNT),
        sh0=random.normal(0, 1, (COUNT, 1, 3)),
        shN=random.normal(0, 0.15, (COUNT, 15, 3)),
    )


def compressed(model: Gaussians, psnr: float) -> Compressed:
    return compress(model, [], CompressOptions(target_psnr=psnr, min_psnr=20.0), Silent())


@pytest.fixture(scope="module")
def unreachable(model: Gaussians) -> Compressed:
    return compressed(model, 90.0)


def test_the_ceiling_is_that_of_everything_at_its_finest(model: Gaussians, unreachable: Compressed) -> None:
    """Measured here without the search: every attribute at its finest, and for each Gaussian its own SH."""
    prepared = prepare(model)
    features = sh_features(prepared, 3)
    first, which = find_distinct(features)
    palette = quantise_palette(features[first], which, features, prepared.importance, 0.0)
    finest = make_draft(prepared, FINEST, palette).gaussians()
    proof = Prover(model, choose_views(prepared.stored, []), Silent()).compare(finest)
    assert unreachable.ceiling is not None
    assert unreachable.ceiling.mean == pytest.approx(proof.mean, abs=1e-6)
    assert unreachable.ceiling.worst == pytest.approx(proof.worst, abs=1e-6)


def test_a_target_out_of_reach_gives_up_neither_bands_nor_centroids(unreachable: Compressed) -> None:
    ceiling = unreachable.ceiling
    assert ceiling is not None and unreachable.proof.decisive >= ceiling.decisive - TIE_DB
    assert unreachable.best.quality.sh_bands == 3 and (unreachable.best.quality.palette_size or 0) > COUNT / 2
    sentence = missed_target(unreachable) or ""
    assert f"this model comes to {ceiling.mean:.2f} dB" in sentence and "keep the PLY" in sentence


def test_a_target_just_under_the_ceiling_is_reached(model: Gaussians, unreachable: Compressed) -> None:
    """Half as many centroids as Gaussians, the most that are tried at first, do not reach it."""
    assert unreachable.ceiling is not None
    target = unreachable.ceiling.decisive - 0.5
    result = compressed(model, target)
    assert result.ceiling is not None and missed_target(result) is None and result.proof.decisive >= target
    assert result.attempts[0][1] < target, "the case must be one that needs more than the first palettes"
    assert len(result.bundle) <= len(unreachable.bundle)
    decoded = read_bundle(result.bundle, 1 << 30)
    assert decoded.sh_degree == 3 and len(decoded) == COUNT


def test_an_easy_target_measures_no_ceiling(model: Gaussians) -> None:
    result = compressed(model, 22.0)
    assert result.ceiling is None and missed_target(result) is None


def test_a_limit_on_bytes_stands_against_the_target(model: Gaussians) -> None:
    options = CompressOptions(target_psnr=90.0, max_bytes=30_000, min_psnr=10.0)
    result = compress(model, [], options, Silent())
    assert result.ceiling is None and len(result.bundle) <= 30_000
    assert "at most 30,000 bytes" in (missed_target(result) or "")


def test_a_palette_that_was_asked_for_stays(model: Gaussians) -> None:
    options = CompressOptions(target_psnr=90.0, palette_size=256, min_psnr=10.0)
    result = compress(model, [], options, Silent())
    assert result.ceiling is not None and (result.best.quality.palette_size or 0) <= 256


def test_a_model_without_sh_has_a_ceiling_too(model: Gaussians) -> None:
    result = compressed(replace(model, shN=model.shN[:, :0]), 95.0)
    assert result.ceiling is not None and result.proof.decisive >= result.ceiling.decisive - TIE_DB


def test_mean_and_worst_are_compared_with_targets() -> None:
    errors = np.array([[1e-4, 1e-5], [1e-3, 1e-7], [1e-5, 1e-5]])
    assert decisive_psnr(errors) == pytest.approx([44.0, 34.0, 50.0])

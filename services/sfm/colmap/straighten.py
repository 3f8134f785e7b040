"""Straightens a model that plain positions show to be bent, as lenses bend a flight that looks straight down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.colmap.bundle_adjustment import median_error, robust_bundle_adjustment
from services.sfm.colmap.lenses import ONE_WAY_INFLATION, Lens, focal_priors, with_positions
from services.sfm.colmap.priors import PositionPrior, Priors
from services.sfm.colmap.refine import MAX_ERROR_GROWTH
from services.sfm.georeference.alignment import Alignment
from services.sfm.georeference.position_priors import MIN_PHOTOS
from services.sfm.wording import length
from spaceport.pipeline.reports.sfm import Finding, Verdict

MIN_STD_M: Final = 0.5  # of plain positions, beside each other
MAX_STD: Final = 2.0  # in median residuals of the bent model, most of which are the bend
STRAIGHTER: Final = 0.75  # median residual afterwards to that before


@dataclass(frozen=True)
class Straightened:
    """A copy of the model without its bend, its lenses, and what is reported of it."""

    model: Any
    lenses: list[Lens]
    photos: int
    std_m: float
    bend_m: float

    def report(self, alignment: Alignment) -> Alignment:
        """The alignment of this model, with what shaped it."""
        sentence = (
            f"By the photos alone the model was bent by {length(abs(self.bend_m))}, as views straight down leave open."
            f" The positions of {self.photos} photos have straightened it."
        )
        update = {
            "method": f"{alignment.georeference.method}; straightened by the positions",
            "prior_photos": self.photos,
            "prior_std_m": (self.std_m, self.std_m),
        }
        return replace(
            alignment,
            georeference=alignment.georeference.model_copy(update=update),
            findings=[*alignment.findings, Finding(level=Verdict.GO, sentence=sentence)],
        )


def straighten(model: Any, lenses: Sequence[Lens], alignment: Alignment) -> Straightened | None:
    """The model adjusted with its photos' plain positions; None where they show no bend, or do not mend it.

    Plain positions are no priors: they are off by metres, and would bend a good model. But a significant dome is what
    photos that look one way cannot tell from the lens's distortion (James and Robson 2014), and what even plain
    positions can: their errors do not grow with the distance from the middle of the flight. In an adjustment the views
    count at their formal errors, `ONE_WAY_INFLATION` times too small for the bend, so the positions must, too. What
    they then cost the photos tells whether it was a bend.
    """
    bend, median = alignment.georeference.dome_m, alignment.georeference.median_residual_m
    places = {file: at.place for file, at in alignment.positions.items() if np.isfinite(at.place).all()}
    if bend is None or median is None or alignment.georeference.clock_shift_s or len(places) < MIN_PHOTOS:
        return None
    std = max(MIN_STD_M, MAX_STD * median)
    formal = np.full(3, std / ONE_WAY_INFLATION)
    priors = Priors(
        positions={file: PositionPrior(place, formal) for file, place in places.items()},
        focal=focal_priors(model, lenses),
        loss_sigmas=ONE_WAY_INFLATION,
    )
    trial, before = pycolmap.Reconstruction(model), median_error(model)
    robust_bundle_adjustment(trial, priors)
    after = median_error(trial)
    off = [np.linalg.norm(trial.find_image_with_name(file).projection_center() - at) for file, at in places.items()]
    if not before or not after or after > MAX_ERROR_GROWTH * before or np.median(off) > STRAIGHTER * median:
        return None
    return Straightened(trial, with_positions(trial, lenses, priors, ONE_WAY_INFLATION), len(places), std, bend)

"""What benchmarks vary and jobs cannot set: one object that planning and the trainer are handed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.train.capacity import PHOTOS_PER_BAND
from services.train.exposure import EXPOSURE_LR
from services.train.mcmc import McmcParameters
from services.train.schedule import LEARNING_RATES, SH_STARTS


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of one training.

    Args:
        mcmc: of the densification.
        seed_fraction: seeds by plane sweep at most, as a fraction of the cap on Gaussians; the rest grows during
            training.
        photos_per_band: [4] training photos from which on each SH degree is used.
        sh_starts: [3] fractions of the run from which on SH degrees 1, 2 and 3 are used.
        learning_rates: Adam's, by parameter, except that of the means, which is in units of the scene's extent.
        exposure_lr: Adam's learning rate of each photo's gain and bias; 0 leaves them alone.
    """

    mcmc: McmcParameters = field(default_factory=McmcParameters)
    seed_fraction: float = 0.4
    photos_per_band: tuple[int, ...] = PHOTOS_PER_BAND
    sh_starts: tuple[float, ...] = SH_STARTS
    learning_rates: Mapping[str, float] = field(default_factory=lambda: LEARNING_RATES)
    exposure_lr: float = EXPOSURE_LR

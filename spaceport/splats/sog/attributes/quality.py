"""How finely each attribute is stored. Steps decide bytes as well as loss, because WebP codes entropy."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Quality:
    """One trade-off between bytes and PSNR."""

    palette_error: float
    """Tolerated weighted root mean square colour error of the SH palette, in units of full white."""
    palette_size: int | None = None
    """Entries of the palette; without it, the smallest power of two that keeps `palette_error`."""
    palette_share: float = 1.0
    """Most entries as a share of the Gaussians, however large the error: past it the palette outweighs the rest."""
    position_slack: float = 0.0
    """How far a Gaussian of mean importance may move, by its smallest standard deviation; 0: 16 bits for all."""
    scale_step: float = 0.0
    """Step of ln(sigma); 0 makes it as small as 256 levels allow. The same for the next two."""
    colour_step: float = 0.0
    """Step of f_dc; one f_dc is 0.28 of full white."""
    sh_step: float = 0.0
    """Step of the palette's SH coefficients."""
    rotation_slack: float = 0.0
    """How far a Gaussian of mean importance and an axis ratio of 1.6 may turn, in degrees; 0: 8 bits for all."""
    sh_bands: int = 3
    """Bands of SH that are kept, 0 to 3."""


# Chosen on real models by spending bytes where they lower the picture's error most. At full resolution
# rotations and colours are far better than they need to be; palette and positions are what limits.
STANDARD = Quality(
    palette_error=0.006,
    palette_share=0.25,
    position_slack=0.02,
    scale_step=0.05,
    colour_step=0.06,
    sh_step=0.02,
    rotation_slack=5.0,
)
FINEST = Quality(palette_error=0.001)

COARSENESS = (8.0, 5.66, 4.0, 2.83, 2.0, 1.41, 1.0, 0.71, 0.5, 0.25, 0.0)
"""How coarse an attribute may be, in steps of `STANDARD`; 0 is as fine as the format can be."""
KNOBS = {"means": "position_slack", "scales": "scale_step", "quats": "rotation_slack", "sh0": "colour_step"}


def at_level(name: str, level: float) -> Quality:
    """One attribute at a level, everything else as fine as can be."""
    return replace(FINEST, **{KNOBS[name]: level * getattr(STANDARD, KNOBS[name])})

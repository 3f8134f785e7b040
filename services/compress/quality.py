"""How finely each attribute is stored. Steps decide bytes as well as loss, because WebP codes entropy."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Quality:
    """One point of the trade between bytes and likeness."""

    palette_error: float
    """Tolerated weighted root mean square colour error of the SH palette, in units of full white."""
    palette_size: int | None = None
    """Entries of the palette; without it, the smallest power of two that keeps `palette_error`."""
    position_slack: float = 0.0
    """Tolerated position error as a share of a Gaussian's smaller standard deviation; 0 keeps all 16 bits."""
    scale_step: float = 0.0
    """Step of ln(sigma); 0 makes it as small as 256 levels allow. The same for the next two."""
    colour_step: float = 0.0
    """Step of f_dc; one f_dc is 0.28 of full white."""
    sh_step: float = 0.0
    """Step of the palette's SH coefficients."""
    rotation_step: int = 1
    """Quaternion bytes are whole multiples of it: 1, 3, 5, 15 or 17."""


STANDARD = Quality(
    palette_error=0.012,
    position_slack=0.05,
    scale_step=0.06,
    colour_step=0.03,
    sh_step=0.02,
    rotation_step=1,
)
FINE = Quality(palette_error=0.005, position_slack=0.01, scale_step=0.03, colour_step=0.01, sh_step=0.008)
FINEST = Quality(palette_error=0.001)


def ladder(palette_size: int | None) -> list[Quality]:
    """The settings to try, in order, until the proof holds. A palette size that was asked for is kept."""
    return [replace(quality, palette_size=palette_size) for quality in (STANDARD, FINE, FINEST)]

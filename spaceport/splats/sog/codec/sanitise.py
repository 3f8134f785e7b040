"""Gaussians that cannot be shown or stored are dropped first, and counted by reason: never silently."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes import opacity
from spaceport.splats.sog.attributes.rows import map_rows, row_max

FARTHEST = 1e8  # scene units; beyond it float32 positions and any viewer's depth buffer break down
LARGEST_LOG_SCALE = 20.0  # a standard deviation of 5e8
LARGEST_SH = 1e4  # five hundred times the brightest colour that training makes
SMALLEST_LOG_SCALE = -20.0  # 2e-9: a point to every renderer, so raised to this rather than dropped


def sanitise(gaussians: Gaussians) -> tuple[Gaussians, dict[str, int]]:
    """Return the Gaussians worth storing and how many were dropped, by reason (only reasons that occurred).

    A Gaussian is counted once, under the first reason that applies.
    """
    count = len(gaussians.means)
    reasons: list[tuple[str, NDArray[np.bool_]]] = [
        ("not finite", ~_finite(gaussians)),
        ("zero rotation", ~np.any(gaussians.quats != 0, axis=1)),
        ("too far away", _beyond(gaussians.means, FARTHEST)),
        ("absurd size", np.any(gaussians.scales > LARGEST_LOG_SCALE, axis=1)),
        ("absurd colour", _beyond(gaussians.sh0, LARGEST_SH) | _beyond(gaussians.shN, LARGEST_SH)),
        ("invisible", opacity.encode(np.nan_to_num(gaussians.opacities)) == 0),
    ]
    keep = np.ones(count, bool)
    dropped: dict[str, int] = {}
    for reason, mask in reasons:
        if number := int((mask & keep).sum()):
            dropped[reason] = number
        keep &= ~mask
    return (gaussians if keep.all() else gaussians.subset(np.flatnonzero(keep))), dropped


def _beyond(values: NDArray[np.floating], limit: float) -> NDArray[np.bool_]:
    return _any_in_row(values, lambda part: np.abs(part) > limit)


def _finite(gaussians: Gaussians) -> NDArray[np.bool_]:
    ok = np.ones(len(gaussians.means), bool)
    for name in ("means", "quats", "scales", "sh0", "shN"):
        ok &= ~_any_in_row(getattr(gaussians, name), lambda part: ~np.isfinite(part))
    return np.asarray(ok & ~np.isnan(gaussians.opacities))  # an infinite logit is simply opaque or invisible


def _any_in_row(
    values: NDArray[np.floating], holds: Callable[[NDArray[np.floating]], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Whether something holds for any value of each row [N]."""
    if values.size == 0:
        return np.zeros(len(values), bool)
    return map_rows(lambda part: row_max(holds(part)), values.reshape(len(values), -1))

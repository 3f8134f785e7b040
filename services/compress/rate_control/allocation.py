"""Where to spend bytes: one level for each attribute, so that a target is met at the fewest bytes.

The squared errors of the attributes add up, nearly, and so do their bytes. The best combination is found by looking at
every one of them: there are at most a few hundred thousand. Pure arithmetic.

A combination reaches a PSNR when its mean over the views does, and no view lies over 4 dB below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaceport.pipeline.options import CompressPreset

TARGET_PSNR = {CompressPreset.WEB: 42.0, CompressPreset.BALANCED: 45.0, CompressPreset.ARCHIVE: 50.0}
"""dB, where the options name no target."""
TIE_DB = 0.05  # results this close to the best one are as good: the smallest of them is taken
WORST_BELOW = 4.0  # dB that the worst view may lie below a target that the mean reaches
SMALLEST_ERROR = 1e-10  # 100 dB


@dataclass(frozen=True)
class Target:
    """What a file must be. Without `psnr`, the best one of at most `max_bytes`; with neither, the best there is."""

    psnr: float | None = None
    """dB."""
    max_bytes: int | None = None


@dataclass(frozen=True)
class RateDistortion:
    """The levels of one attribute: their bytes [L], and their squared error in the picture of each view [L,V]."""

    sizes: NDArray[np.float64]
    errors: NDArray[np.float64]


def choose_levels(tables: Sequence[RateDistortion], fixed: float, target: Target) -> tuple[int, ...]:
    """The level of each table that together meet the target best; `fixed` bytes come on top of theirs."""
    sizes: NDArray[np.float64] = np.full((1,), fixed)
    errors = np.zeros((1, tables[0].errors.shape[1]))
    for table in tables:
        sizes = (sizes[:, None] + table.sizes).reshape(-1)
        errors = (errors[:, None] + table.errors).reshape(len(sizes), -1)
    index = np.unravel_index(
        choose_result(sizes, decisive_psnr(errors), target), [len(table.sizes) for table in tables]
    )
    return tuple(int(level) for level in index)


def total_size(tables: Sequence[RateDistortion], levels: Sequence[int]) -> float:
    """Bytes that these levels are foreseen to take."""
    return float(sum(table.sizes[level] for table, level in zip(tables, levels, strict=True)))


def reaches_psnr(tables: Sequence[RateDistortion], levels: Sequence[int], target: Target) -> bool:
    """Whether these levels are foreseen to reach the target's PSNR."""
    errors = sum(table.errors[level] for table, level in zip(tables, levels, strict=True))
    return target.psnr is not None and bool(decisive_psnr(np.asarray(errors)) >= target.psnr)


def decisive_psnr(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """What targets are compared with, dB, of squared errors [...,V]: the mean PSNR over the views, or the worst plus 4
    where that is less."""
    views = np.maximum(np.moveaxis(errors, -1, 0), SMALLEST_ERROR)
    mean = -10 / len(views) * np.log10(np.prod(views, axis=0))  # one logarithm instead of V
    return np.asarray(np.minimum(mean, WORST_BELOW - 10 * np.log10(np.max(views, axis=0))))


def choose_result(sizes: NDArray[np.floating], psnr: NDArray[np.floating], target: Target) -> int:
    """Which of several results, of bytes [M] and dB [M], meets the target best.

    A limit on bytes comes first: nothing over it is taken unless all are over it, and then the smallest. Of the rest,
    the smallest that reaches the PSNR; where none does, or none is set, the one of the highest PSNR.
    """
    allowed = np.ones(len(sizes), bool) if target.max_bytes is None else sizes <= target.max_bytes
    if not allowed.any():
        return int(np.argmin(sizes))
    return int(np.argmin(np.where(mask_reaching(psnr, target, allowed), sizes, np.inf)))


def mask_reaching(
    psnr: NDArray[np.floating], target: Target, allowed: NDArray[np.bool_] | np.bool_ = np.True_
) -> NDArray[np.bool_]:
    """Which of the `allowed` results reach the target's PSNR or, where none does, come close to the best one [M]."""
    mask = allowed & (psnr >= (np.inf if target.psnr is None else target.psnr))
    if not mask.any():
        mask = allowed & (psnr >= np.max(psnr, where=allowed, initial=-np.inf) - TIE_DB)
    return mask


def make_target(preset: CompressPreset, psnr: float | None, max_bytes: int | None, min_psnr: float) -> Target:
    """What the options ask for. A file under `min_psnr` would not be published, so no target lies lower."""
    if psnr is None and max_bytes is not None:
        return Target(None, max_bytes)
    return Target(max(TARGET_PSNR[preset] if psnr is None else psnr, min_psnr), max_bytes)


def presets_from(first: CompressPreset) -> list[CompressPreset]:
    """The preset of the options, and those above it, which are tried when it is not good enough."""
    order = list(CompressPreset)
    return order[order.index(first) :]

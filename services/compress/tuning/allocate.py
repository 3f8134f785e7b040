"""Where to spend bytes: one level for each attribute so that a target is met at the fewest bytes.

The squared errors of the attributes add up, nearly, and so do their bytes. Then the best of all combinations is found
by looking at every one of them: there are at most a few hundred thousand. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spaceport.pipeline.options import CompressPreset

TARGETS = {CompressPreset.WEB: 42.0, CompressPreset.BALANCED: 45.0, CompressPreset.ARCHIVE: 50.0}
"""dB where a person asks for none."""
EQUAL_DB = 0.05  # results this near to the best one are as good: the smallest of them is taken
SMALLEST_ERROR = 1e-10  # 100 dB


@dataclass(frozen=True)
class Wish:
    """What is asked of the file. Without `psnr`, the best one under `size`; with neither, the best there is."""

    psnr: float | None = None
    """dB."""
    size: int | None = None
    """Bytes at most."""


@dataclass(frozen=True)
class Table:
    """The levels of one attribute: their bytes [L], and their squared error in the picture of each view [L,V]."""

    sizes: NDArray[np.float64]
    errors: NDArray[np.float64]


def choose(tables: Sequence[Table], fixed: float, wish: Wish) -> tuple[int, ...]:
    """Return the level of each table that together answer the wish best; `fixed` bytes come on top of theirs."""
    sizes: NDArray[np.float64] = np.full((1,), fixed)
    errors = np.zeros((1, tables[0].errors.shape[1]))
    for table in tables:
        sizes = (sizes[:, None] + table.sizes).reshape(-1)
        errors = (errors[:, None] + table.errors).reshape(len(sizes), -1)
    index = np.unravel_index(pick(sizes, mean_psnr(errors), wish), [len(table.sizes) for table in tables])
    return tuple(int(level) for level in index)


def total_size(tables: Sequence[Table], levels: Sequence[int]) -> float:
    """Bytes that these levels are foreseen to take."""
    return float(sum(table.sizes[level] for table, level in zip(tables, levels, strict=True)))


def reaches(tables: Sequence[Table], levels: Sequence[int], wish: Wish) -> bool:
    """Whether these levels are foreseen to be as alike as is wished."""
    errors = sum(table.errors[level] for table, level in zip(tables, levels, strict=True))
    return wish.psnr is not None and bool(mean_psnr(np.asarray(errors)) >= wish.psnr)


def mean_psnr(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean PSNR over the views, dB, of squared errors [...,V]."""
    return np.asarray(np.mean(-10 * np.log10(np.maximum(errors, SMALLEST_ERROR)), axis=-1))


def pick(sizes: NDArray[np.floating], likeness: NDArray[np.floating], wish: Wish) -> int:
    """Which of several results, of bytes [M] and dB [M], answers the wish best.

    A limit on bytes comes first: over it nothing is taken unless all are over it, and then the smallest. Of the rest,
    the smallest that reaches the target; where none does, or none is set, the most alike.
    """
    allowed = np.ones(len(sizes), bool) if wish.size is None else sizes <= wish.size
    if not allowed.any():
        return int(np.argmin(sizes))
    return int(np.argmin(np.where(reached(likeness, wish, allowed), sizes, np.inf)))


def reached(
    likeness: NDArray[np.floating], wish: Wish, allowed: NDArray[np.bool_] | np.bool_ = np.True_
) -> NDArray[np.bool_]:
    """Which of the `allowed` results are as alike as wished, or, where none is, as alike as the best [M]."""
    found = allowed & (likeness >= (np.inf if wish.psnr is None else wish.psnr))
    if not found.any():
        found = allowed & (likeness >= np.max(likeness, where=allowed, initial=-np.inf) - EQUAL_DB)
    return found


def wish_of(preset: CompressPreset, target: float | None, most: int | None, least: float) -> Wish:
    """What a person's options ask for; a file under `least` dB would not be published, so no target lies lower."""
    if target is None and most is not None:
        return Wish(None, most)
    return Wish(max(TARGETS[preset] if target is None else target, least), most)


def presets_from(first: CompressPreset) -> list[CompressPreset]:
    """The preset that was asked for, and those above it, which are tried when it is not good enough."""
    order = list(CompressPreset)
    return order[order.index(first) :]

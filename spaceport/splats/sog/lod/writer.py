"""Streamed SOG for large scenes: a k-d tree whose leaves have several levels of detail, in ordinary unbundled sets.

PlayCanvas' engine loads it by its `lod-meta.json`: it fetches only the leaves in view, each as fine as its distance
or its error (`image_error.py`) makes worth it. Each level has half the Gaussians of the one before, as in PlayCanvas'
own recipe. Levels are made leaf by leaf, so that every leaf has all of them, and the work needs little more memory than
the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spaceport.files import write_atomic
from spaceport.progress import Progress, Silent
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes import positions
from spaceport.splats.sog.attributes.quality import STANDARD, Quality
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.meta import GENERATOR
from spaceport.splats.sog.codec.order import sort_gaussians
from spaceport.splats.sog.codec.sanitise import sanitise
from spaceport.splats.sog.codec.writer import write_folder
from spaceport.splats.sog.lod.image_error import LeafErrors
from spaceport.splats.sog.lod.merge import covariances, halve
from spaceport.splats.sog.lod.reader import LOD_META, check_streamed
from spaceport.splats.sog.lod.tree import LOD_LEVELS, LodSizes, build_tree, join_bounds, leaves

FOLDER = "lod"
BOUND_DIGITS, ERROR_DIGITS = 7, 4
PALETTE_ROW = 64
WRITING_LEVELS = "Writing levels of detail for streaming"


@dataclass
class _File:
    """Leaves of one level on their way into one SOG."""

    number: int
    parts: list[Gaussians] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(map(len, self.parts))


def write_streamed(
    folder: Path,
    gaussians: Gaussians,
    quality: Quality,
    progress: Progress,
    seed: int = 0,
    sizes: LodSizes | None = None,
) -> dict[str, Any]:
    """Write `folder`/lod-meta.json, last, and the sets that it names, and read them back.

    Args:
        quality: how each set is stored. `palette_size` is that of a palette of the whole model.
        sizes: where the model is cut; by default as its number of Gaussians asks for.

    Returns:
        `lod_levels`, `lod_files`, `lod_leaves`, `lod_meta_bytes`; and by level, finest first, `lod_counts`: Gaussians,
        `lod_bytes`: of its sets, `lod_errors`: of its leaves, the mean.

    Raises:
        ValueError: no Gaussian can be stored.
        BrokenSog: what was written does not read back whole.
    """
    kept, _ = sanitise(gaussians)
    if len(kept) == 0:
        raise ValueError("no Gaussian of the model can be stored")
    quality = replace(quality, palette_error=STANDARD.palette_error, palette_share=STANDARD.palette_share)
    return _Writer(folder, quality, seed, sizes or LodSizes.of(len(kept)), len(kept)).write(kept, progress)


class _Writer:
    def __init__(self, folder: Path, quality: Quality, seed: int, sizes: LodSizes, whole: int) -> None:
        self._folder = folder
        self._seed = seed
        self._sizes = sizes
        self._quality = quality
        self._whole = whole
        self._names: list[str] = []
        self._open: dict[int, _File] = {}
        self._files_of = [0] * LOD_LEVELS
        self._counts = [0] * LOD_LEVELS
        self._bytes = [0] * LOD_LEVELS
        self._errors: list[list[float]] = []

    def write(self, kept: Gaussians, progress: Progress) -> dict[str, Any]:
        tree = build_tree(kept.means, self._sizes)
        errors = LeafErrors(kept.antialiased)
        done = 0
        for leaf, index in leaves(tree):
            progress.update(done / len(kept), WRITING_LEVELS, levels=LOD_LEVELS)
            leaf.update(self._leaf(kept.subset(index), errors, progress))
            done += len(index)
        for level in sorted(self._open):
            self._close(level, progress)
        join_bounds(tree)
        meta = manifest(tree, self._names, self._counts)
        write_atomic(self._folder / LOD_META, meta)
        check_streamed(self._folder)
        return {
            "lod_levels": LOD_LEVELS,
            "lod_files": len(self._names),
            "lod_leaves": len(self._errors),
            "lod_counts": self._counts,
            "lod_bytes": self._bytes,
            "lod_meta_bytes": len(meta),
            "lod_errors": np.mean(self._errors, axis=0).tolist(),
        }

    def _leaf(self, model: Gaussians, errors: LeafErrors, progress: Progress) -> dict[str, Any]:
        """Put the levels of one leaf into files; returns its `bound`, `lods` and `errors`."""
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        lods: dict[str, dict[str, int]] = {}
        models = [model]
        for level in range(LOD_LEVELS):
            if level:
                models.append(sanitise(halve(models[-1]))[0])
            reach = np.sqrt(np.diagonal(covariances(models[-1]), axis1=1, axis2=2))
            low = np.minimum(low, (models[-1].means - reach).min(axis=0))
            high = np.maximum(high, (models[-1].means + reach).max(axis=0))
            lods[str(level)] = self._put(level, models[-1], progress)
        progress.check()
        errors_of_levels = _round(errors.measure(models, low, high), ERROR_DIGITS)
        self._errors.append(errors_of_levels)
        bound = {"min": _round(low, BOUND_DIGITS), "max": _round(high, BOUND_DIGITS)}
        return {"bound": bound, "lods": lods, "errors": errors_of_levels}

    def _put(self, level: int, model: Gaussians, progress: Progress) -> dict[str, int]:
        q = positions.encode(model.means, *positions.bounds(model.means))
        if level not in self._open:
            self._names.append(f"{level}_{self._files_of[level]}/meta.json")
            self._files_of[level] += 1
            self._open[level] = _File(len(self._names) - 1)
        file = self._open[level]
        lod = {"file": file.number, "offset": file.count, "count": len(model)}
        file.parts.append(sort_gaussians(model, q, "walk", self._seed, Silent()))
        self._counts[level] += len(model)
        if file.count >= self._sizes.file:
            self._close(level, progress)
        return lod

    def _close(self, level: int, progress: Progress) -> None:
        progress.check()
        file = self._open.pop(level)
        names = file.parts[0].arrays()
        whole: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in file.parts]) for name in names}
        entries = palette_entries(self._quality.palette_size, file.count, self._whole)
        settings = EncoderSettings(replace(self._quality, palette_size=entries), seed=self._seed, order="unchanged")
        encoded = encode(replace(file.parts[0], **whole), settings, _ChecksOnly(progress))
        if encoded.dropped:
            raise AssertionError("what was sanitised before was sanitised again")
        self._bytes[level] += sum(map(len, encoded.files.values()))
        write_folder((self._folder / self._names[file.number]).parent, encoded.files)


class _ChecksOnly(Silent):
    """Passes on checks but no progress: that of a single file means nothing for the whole."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def check(self) -> None:
        self._progress.check()


def palette_entries(of_whole: int | None, part: int, whole: int) -> int | None:
    """Entries of the SH palette for `part` of `whole` Gaussians: as many a Gaussian as the whole model's palette has,
    rounded up to a row of its image. None where that has no size: its error decides then, which takes ten times longer.
    """
    return None if of_whole is None else -(-of_whole * part // (whole * PALETTE_ROW)) * PALETTE_ROW


def manifest(tree: dict[str, Any], names: list[str], counts: list[int]) -> bytes:
    """lod-meta.json. `tree` is complete, `names` are those of the sets, `counts` the Gaussians of each level."""
    meta = {
        "version": 1,
        "asset": {"generator": GENERATOR},
        "count": sum(counts),
        "counts": counts,
        "lodLevels": LOD_LEVELS,
        "lodErrors": True,
        "filenames": names,
        "tree": tree,
    }
    return json.dumps(meta, separators=(",", ":"), allow_nan=False).encode()


def _round(values: Iterable[float], digits: int) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values]

"""Streamed SOG for large scenes: a k-d tree whose leaves have several levels of detail, in ordinary unbundled sets.

PlayCanvas' engine loads it by its `lod-meta.json`: it fetches only the leaves in view, each as fine as its distance
needs. Each level has half the Gaussians of the one before, as in PlayCanvas' own recipe. Levels are made leaf by leaf,
so that every leaf has all of them, and the work needs little more memory than the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from spaceport.splats.sog.lod.merge import covariances, halve
from spaceport.splats.sog.lod.reader import LOD_META, check_streamed

FOLDER = "lod"
LARGE_GAUSSIANS = 1_000_000
LARGE_WIDTH = 16.0
"""Metres, on two axes at least: a model is large when it has more Gaussians than that and is wider than this."""
LOD_LEVELS = 4
LEAF_GAUSSIANS = 65_536
LEAF_WIDTH = 16.0
SMALLEST_SPLIT = 8_192  # fewer Gaussians are not split for their width alone
FILE_GAUSSIANS = 131_072  # after which a file takes no further leaf: about two megabytes to fetch at once
WRITING_LEVELS = "Writing levels of detail for streaming"

Indices = NDArray[np.intp]


@dataclass
class _File:
    """Leaves of one level on their way into one SOG."""

    number: int
    parts: list[Gaussians] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(map(len, self.parts))


def is_large(gaussians: Gaussians, least: int = LARGE_GAUSSIANS, width: float = LARGE_WIDTH) -> bool:
    """Whether a model is worth streaming. Its width is that of the middle 98 % of it: floaters do not count."""
    if len(gaussians) <= least:
        return False
    low, high = np.quantile(gaussians.means, (0.01, 0.99), axis=0)
    return int((high - low > width).sum()) >= 2


def write_streamed(
    folder: Path, gaussians: Gaussians, quality: Quality, progress: Progress, seed: int = 0
) -> dict[str, Any]:
    """Write `folder`/lod-meta.json, last, and the sets that it names, and read them back.

    Returns:
        `lod_levels`, `lod_files`, and `lod_counts`: Gaussians of each level.

    Raises:
        ValueError: no Gaussian can be stored.
        BrokenSog: what was written does not read back whole.
    """
    kept, _ = sanitise(gaussians)
    if len(kept) == 0:
        raise ValueError("no Gaussian of the model can be stored")
    quality = replace(quality, palette_error=STANDARD.palette_error, palette_size=None)
    return _Writer(folder, quality, seed).write(kept, progress)


class _Writer:
    def __init__(self, folder: Path, quality: Quality, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._settings = EncoderSettings(quality, seed=seed, order="unchanged")
        self._names: list[str] = []
        self._open: dict[int, _File] = {}
        self._files_of = [0] * LOD_LEVELS
        self._counts = [0] * LOD_LEVELS

    def write(self, kept: Gaussians, progress: Progress) -> dict[str, Any]:
        tree = build_tree(kept.means)
        done = 0
        for leaf, index in leaves(tree):
            progress.update(done / len(kept), WRITING_LEVELS, levels=LOD_LEVELS)
            leaf.update(self._leaf(kept.subset(index), progress))
            done += len(index)
        for level in sorted(self._open):
            self._close(level, progress)
        _join_bounds(tree)
        meta = {
            "version": 1,
            "asset": {"generator": GENERATOR},
            "count": sum(self._counts),
            "counts": self._counts,
            "lodLevels": LOD_LEVELS,
            "filenames": self._names,
            "tree": tree,
        }
        text = json.dumps(meta, separators=(",", ":"), allow_nan=False)
        write_atomic(self._folder / LOD_META, text.encode())
        check_streamed(self._folder)
        return {"lod_levels": LOD_LEVELS, "lod_files": len(self._names), "lod_counts": self._counts}

    def _leaf(self, model: Gaussians, progress: Progress) -> dict[str, Any]:
        """Put the levels of one leaf into files; returns its `bound` and `lods`."""
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        lods: dict[str, dict[str, int]] = {}
        for level in range(LOD_LEVELS):
            if level:
                model = sanitise(halve(model))[0]
            reach = np.sqrt(np.diagonal(covariances(model), axis1=1, axis2=2))
            low = np.minimum(low, (model.means - reach).min(axis=0))
            high = np.maximum(high, (model.means + reach).max(axis=0))
            lods[str(level)] = self._put(level, model, progress)
        return {"bound": {"min": _round(low), "max": _round(high)}, "lods": lods}

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
        if file.count >= FILE_GAUSSIANS:
            self._close(level, progress)
        return lod

    def _close(self, level: int, progress: Progress) -> None:
        progress.check()
        file = self._open.pop(level)
        names = file.parts[0].arrays()
        whole: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in file.parts]) for name in names}
        encoded = encode(replace(file.parts[0], **whole), self._settings, _ChecksOnly(progress))
        if encoded.dropped:
            raise AssertionError("what was sanitised before was sanitised again")
        write_folder((self._folder / self._names[file.number]).parent, encoded.files)


class _ChecksOnly(Silent):
    """Passes on checks but no progress: that of a single file means nothing for the whole."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def check(self) -> None:
        self._progress.check()


def build_tree(means: NDArray[np.float32]) -> dict[str, Any]:
    """A k-d tree [N,3]: nodes hold two `children`, leaves an `index`; split in half along the widest axis while
    too large."""

    def node(index: Indices) -> dict[str, Any]:
        positions = means[index]
        extent = positions.max(axis=0) - positions.min(axis=0)
        axis = int(extent.argmax())
        if len(index) <= LEAF_GAUSSIANS and (len(index) < SMALLEST_SPLIT or extent[axis] <= LEAF_WIDTH):
            return {"index": index}
        order = index[np.argsort(positions[:, axis], kind="stable")]
        middle = len(order) // 2
        return {"children": [node(order[:middle]), node(order[middle:])]}

    return node(np.arange(len(means)))


def leaves(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Indices]]:
    """Each leaf and its `index`, which is removed from it."""
    for child in tree.get("children", []):
        yield from leaves(child)
    if "index" in tree:
        yield tree, tree.pop("index")


def _join_bounds(tree: dict[str, Any]) -> None:
    children = tree.get("children", [])
    for child in children:
        _join_bounds(child)
    if children:
        low, high = (np.array([child["bound"][edge] for child in children]) for edge in ("min", "max"))
        tree["bound"] = {"min": low.min(axis=0).tolist(), "max": high.max(axis=0).tolist()}


def _round(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.7g}") for value in values]

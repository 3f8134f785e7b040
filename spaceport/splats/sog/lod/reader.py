"""Read streamed SOG and check its own rules: the leaves of a level fill its files without gap or overlap.

Reads what `writer.py` writes and what PlayCanvas' splat-transform does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import FailFast, Field, FiniteFloat, model_validator

from spaceport.splats.model import Gaussians
from spaceport.splats.scratch import allocate, free_pages
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.codec.decode import PackedGaussians
from spaceport.splats.sog.codec.errors import BrokenSog
from spaceport.splats.sog.codec.meta import LARGEST_COUNT, MetaModel, Three, parse_model
from spaceport.splats.sog.codec.reader import BUDGET, BYTES_PER_SH_GAUSSIAN, read_packed

LOD_META = "lod-meta.json"
LARGEST_META = 8 << 20  # some 30,000 leaves
MAX_LEVELS = 16
SLACK = 0.02  # share of a leaf's extent by which a stored position may lie outside its bound

SetName = Annotated[str, Field(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/){1,4}meta\.json$")]
"""An unbundled set below the folder: no parent, no URL."""
Index = Annotated[int, Field(ge=0, le=LARGEST_COUNT, strict=True)]


Error = Annotated[FiniteFloat, Field(ge=0)]


class Bound(MetaModel):
    """A box around Gaussians, scene units."""

    min: Three
    max: Three


class MetaLod(MetaModel):
    """Where the Gaussians of one leaf are at one level: `count` of them in a file, from `offset` on."""

    file: Index
    offset: Index
    count: Index


class MetaNode(MetaModel):
    """A branch with children, or a leaf with its levels."""

    bound: Bound
    children: Annotated[list[MetaNode], FailFast(), Field(max_length=8, default_factory=list)]
    lods: Annotated[dict[str, MetaLod], Field(max_length=MAX_LEVELS, default_factory=dict)]
    errors: Annotated[list[Error], Field(max_length=MAX_LEVELS)] | None = None
    """How far each level is from the finest, as pictures, see `image_error.py`."""

    def leaves(self) -> Iterator[MetaNode]:
        """All leaves below, in order."""
        if self.lods:
            yield self
            return
        for child in self.children:
            yield from child.leaves()


class LodMeta(MetaModel):
    """`lod-meta.json`."""

    version: Literal[1] | None = None
    levels: Annotated[int, Field(ge=1, le=MAX_LEVELS, strict=True, alias="lodLevels")]
    counts: Annotated[list[Index], Field(max_length=MAX_LEVELS)] | None = None
    has_errors: Annotated[bool, Field(strict=True, alias="lodErrors")] = False
    filenames: Annotated[list[SetName], FailFast(), Field(min_length=1, max_length=65536)]
    tree: MetaNode

    @model_validator(mode="after")
    def _one_count_a_level(self) -> Self:
        if self.counts is not None and len(self.counts) != self.levels:
            raise ValueError("it does not count the Gaussians of every level")
        if any(leaf.errors is not None and len(leaf.errors) != self.levels for leaf in self.tree.leaves()):
            raise ValueError("a leaf does not have one error for each level")
        return self


Piece = tuple[MetaLod, Bound]
"""One leaf in one file."""


def read_level(path: Path, level: int = 0, budget: int = BUDGET, scratch: Path | None = None) -> Gaussians:
    """All Gaussians of one level of detail, 0 being the finest, file by file. `path` is lod-meta.json or its folder.

    The higher SH of a large level lie in a file of the folder `scratch`, if there is one.

    Raises:
        BrokenSog: a sentence on the first rule that the set breaks, or that it needs more memory than `budget`.
        OSError: a file cannot be read.
    """
    folder, meta = _open(path)
    if not 0 <= level < meta.levels:
        raise BrokenSog(f"There are {meta.levels} levels of detail; there is no level {level}.")
    pieces_by_file = _pieces(meta, level)
    total = sum(lod.count for pieces in pieces_by_file.values() for lod, _ in pieces)
    if not 0 < total * BYTES_PER_SH_GAUSSIAN <= budget:
        raise BrokenSog(f"Level {level} claims {total} Gaussians: none, or more than {budget} bytes of memory hold.")
    parts = [part for part, _ in _parts(folder, meta, pieces_by_file, budget)]
    return _join(parts, total, scratch)


def _join(parts: list[PackedGaussians | Gaussians], total: int, scratch: Path | None) -> Gaussians:
    """The models of several files as one of `total` Gaussians; SH bands that one lacks are zeros."""
    size = SHN_SIZES[max(part.sh_degree for part in parts)]
    first = parts[0].subset(slice(0, 1))
    whole: dict[str, Any] = {
        name: np.empty((total, *array.shape[1:]), np.float32) for name, array in first.without_sh().arrays().items()
    }
    whole["shN"] = sh = allocate((total, size, 3), scratch)
    start = 0
    for part in parts:
        unpacked = part.subset(slice(None))
        rows = slice(start, start + len(part))
        for name, array in unpacked.without_sh().arrays().items():
            if name != "shN":
                whole[name][rows] = array
        sh[rows, : unpacked.shN.shape[1]] = unpacked.shN
        sh[rows, unpacked.shN.shape[1] :] = 0
        free_pages(sh[rows])
        start += len(part)
    return replace(first, **whole)


def check_streamed(path: Path, budget: int = BUDGET) -> None:
    """Read every level, a file at a time: all are whole, and every Gaussian lies inside the bound of its leaf.

    Where it says that leaves have errors, all of them have: else the engine counts Gaussians instead, without a word.
    `budget` is that of one file.

    Raises:
        BrokenSog: a sentence on the first rule that the set breaks.
        OSError: a file cannot be read.
    """
    folder, meta = _open(path)
    if meta.has_errors and any(leaf.errors is None for leaf in meta.tree.leaves()):
        raise BrokenSog(f"{LOD_META} says that its leaves have errors, and one has none.")
    for level in range(meta.levels):
        for part, pieces in _parts(folder, meta, _pieces(meta, level), budget):
            for lod, bound in pieces:
                _check_bound(part.subset(slice(lod.offset, lod.offset + lod.count)).means, bound)


def _open(path: Path) -> tuple[Path, LodMeta]:
    if path.is_dir():
        path = path / LOD_META
    if path.stat().st_size > LARGEST_META:
        raise BrokenSog(f"{LOD_META} is larger than any scene needs.")
    return path.parent, parse_model(LodMeta, path.read_bytes(), LOD_META)


def _pieces(meta: LodMeta, level: int) -> dict[int, list[Piece]]:
    """The leaves of a level, by file and in their order in it."""
    pieces_by_file: dict[int, list[Piece]] = {}
    for leaf in meta.tree.leaves():
        if (lod := leaf.lods.get(str(level))) and lod.count:
            pieces_by_file.setdefault(lod.file, []).append((lod, leaf.bound))
    total = sum(lod.count for pieces in pieces_by_file.values() for lod, _ in pieces)
    if meta.counts is not None and total != meta.counts[level]:
        raise BrokenSog(f"The leaves of level {level} hold {total} Gaussians, not the {meta.counts[level]} it says.")
    return {
        number: sorted(pieces, key=lambda piece: piece[0].offset) for number, pieces in sorted(pieces_by_file.items())
    }


def _parts(
    folder: Path, meta: LodMeta, pieces_by_file: dict[int, list[Piece]], budget: int
) -> Iterator[tuple[PackedGaussians | Gaussians, list[Piece]]]:
    """Each file of a level, read once whatever the leaves say, and the leaves in it."""
    for number, pieces in pieces_by_file.items():
        if number >= len(meta.filenames):
            raise BrokenSog(f"{LOD_META} names file {number} of {len(meta.filenames)}.")
        part = read_packed(folder / meta.filenames[number], budget)
        starts = np.cumsum([0] + [lod.count for lod, _ in pieces])
        if [lod.offset for lod, _ in pieces] != starts[:-1].tolist() or starts[-1] != len(part):
            raise BrokenSog(f"The leaves of {meta.filenames[number]} leave a gap or overlap.")
        yield part, pieces


def _check_bound(means: np.ndarray[Any, Any], bound: Bound) -> None:
    low, high = np.array(bound.min), np.array(bound.max)
    slack = SLACK * (high - low) + 1e-6
    if (means < low - slack).any() or (means > high + slack).any():
        raise BrokenSog("A Gaussian lies outside the bound of its leaf.")

"""What kernels take: arrays with names, which numba passes as they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spaceport.simd.lanes import Ints, Longs
from spaceport.splats.model import Floats
from spaceport.splats.render.packed_camera import PackedCamera

Doubles = npt.NDArray[np.float64]

FIRST, COUNT = 0, 1
"""Columns of `Projection.regions`."""
FIRST_TILE, FIRST_ID, FIRST_SORTED = 0, 1, 2
"""Columns of `TileLists.plan`."""
SPAN_SLOT, SPAN_TILE, SPAN_LENGTH = 0, 1, 2
"""Columns of `TileLists.spans`."""


class Parameters(NamedTuple):
    """The arrays of a model, see `interface.Params` for shapes."""

    means: Floats
    quats: Floats
    scales: Floats
    opacities: Floats
    sh0: Floats
    shN: Floats


class Gradients(NamedTuple):
    """d loss / d parameter, shaped as `Parameters`, and [N] the length of d loss / d means2d in pixels."""

    means: Floats
    quats: Floats
    scales: Floats
    opacities: Floats
    sh0: Floats
    shN: Floats
    means2d: Floats


class Part(NamedTuple):
    """Rows of the model that are projected in one piece, and the slot where the first visible one goes."""

    first: int
    end: int
    slot: int


class Projection(NamedTuple):
    """The visible Gaussians. Each has a slot; slots in use lie in `regions` [R, 2], one (FIRST, COUNT) per part."""

    records: Floats
    """[slots * 16] see record.py."""
    rows: Ints
    """[slots] their rows in the model (gsplat's gaussian_ids)."""
    depth_keys: Ints
    """[slots] bit patterns of the depths."""
    tile_columns: Ints
    """[slots] first and last tile column of the footprint's box, packed, see tiles.py."""
    tile_rows: Ints
    """[slots] the same of tile rows."""
    regions: Longs
    radii: Floats
    """[N + 16] half the longer side of the footprint's box in pixels; 0 for the invisible."""


class Band(NamedTuple):
    """Tiles from the first to before `end`, numbered row by row."""

    first: int
    end: int


class BandLists(NamedTuple):
    """The lists of a band's tiles. The slots on its k-th tile, front to back, are flatten_ids[isect_offsets[k] :
    isect_offsets[k + 1]]; of them, blending used the first used[k]."""

    flatten_ids: Ints
    isect_offsets: Ints
    used: Ints


class SortBuffers(NamedTuple):
    """Work memory of a band for sorting and listing."""

    order: Ints
    first_keys: Longs
    second_keys: Longs
    spans: Ints
    """[S, 3] runs of tiles under one Gaussian: SPAN_SLOT, SPAN_TILE (the first, in the band), SPAN_LENGTH."""


class TileLists(NamedTuple):
    """The lists of all bands. Thread k has the tiles from plan[k, FIRST_TILE] to plan[k + 1, FIRST_TILE]; its shares
    of `flatten_ids` and `spans` begin at plan[k, FIRST_ID], and of `order` and the keys at plan[k, FIRST_SORTED]."""

    plan: Longs
    """[threads + 1, 3]"""
    order: Ints
    first_keys: Longs
    second_keys: Longs
    spans: Ints
    flatten_ids: Ints
    isect_offsets: Ints
    used: Ints


class Canvas(NamedTuple):
    """The picture and everything of its size. Pictures are [H', W', 3], sides padded to whole tiles."""

    height: int
    width: int
    columns: int
    """Tiles in a row."""
    picture: Floats
    exposed: Floats
    """The picture after exposure."""
    photo: Floats
    grad_picture: Floats
    """d loss / d picture."""
    tile_costs: Ints
    """[tiles] what blending took, in blocks."""
    band_of_tile: Ints
    """[tiles] the thread that takes the tile in the backward pass."""
    row_ssim: Doubles
    """[H] SSIM summed over the windows that begin in the row."""
    row_l1: Doubles
    """[H] sum of |picture - photo|."""
    row_grad_exposure: Doubles
    """[H, 6] gradients by 3 gains and 3 biases."""


class GradSums(NamedTuple):
    """Where gradients are summed: by records per thread, then by parameters."""

    grad_records: Floats
    """[threads, slots * 16] zero between calls."""
    gradients: Gradients
    written: Ints
    """[slots] of region r, the first counts[r] from its first slot on are the rows that the last call wrote."""
    counts: Longs
    """[R]"""


class FrameSettings(NamedTuple):
    """How one picture is rendered and compared."""

    camera: PackedCamera
    sh_degree: int
    background: tuple[float, float, float]
    exposure: Floats
    """[6] 3 gains, 3 biases; empty for none."""
    l1_weight: float
    """Multiplies sign(picture - photo)."""
    ssim_weight: float
    """Multiplies d SSIM; 0 for none."""

"""Means, scales, quats, and colour with opacity, each quantised as a quality says. Higher SH is in `palette/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.model import Gaussians
from spaceport.splats.scratch import Index
from spaceport.splats.sog.attributes import codebook, importance, opacity, positions, rotations
from spaceport.splats.sog.attributes.quality import Quality

Pixels = NDArray[np.uint8]
Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Prepared:
    """Gaussians worth storing, in the file's order, and what is the same for every quality."""

    stored: Gaussians
    importance: NDArray[np.float64]
    """Visual importance of each [N], mean 1."""
    bounds: Bounds
    """Smallest and largest log position per axis."""
    dropped: dict[str, int]
    """How many Gaussians were left out, by reason."""

    def subset(self, index: NDArray[np.integer]) -> Prepared:
        """Some of the Gaussians, quantised as they are among all."""
        return Prepared(self.stored.subset(index), self.importance[index], self.bounds, self.dropped)


@dataclass(frozen=True)
class Quantised:
    """One attribute as the file holds it, and as a reader gets it back."""

    rows: dict[str, Pixels]
    """The bytes of each image, [N,3] or [N,4]."""
    meta: dict[str, Any]
    """Its part of meta.json, without the list of files."""
    decode: Callable[[Index], dict[str, Any]]
    """Some rows of the decoded arrays, by their names in a model."""

    @property
    def decoded(self) -> dict[str, Any]:
        """All of them; made each time, because bytes take a fifth of the memory."""
        return self.decode(slice(None))


def means(prepared: Prepared, quality: Quality) -> Quantised:
    """Positions, the low bits of unimportant Gaussians rounded away."""
    share = quality.position_slack
    slack = importance.position_slack(prepared.stored, prepared.importance, share) if share else None
    low, high = positions.split(positions.encode(prepared.stored.means, *prepared.bounds, slack))
    mins, maxs = (edge.tolist() for edge in prepared.bounds)

    def decode(rows: Index) -> dict[str, Any]:
        return {"means": positions.decode(positions.join(low[rows], high[rows]), *prepared.bounds)}

    return Quantised({"means_l.webp": low, "means_u.webp": high}, {"mins": mins, "maxs": maxs}, decode)


def scales(prepared: Prepared, quality: Quality) -> Quantised:
    """ln(sigma) by a codebook."""
    book = codebook.uniform_codebook(prepared.stored.scales, quality.scale_step)
    code = codebook.nearest(book, prepared.stored.scales)
    return Quantised(
        {"scales.webp": code}, {"codebook": book.tolist()}, lambda rows: {"scales": codebook.decode(book, code[rows])}
    )


def quats(prepared: Prepared, quality: Quality) -> Quantised:
    """Rotations, those of unimportant and of round Gaussians more coarsely."""
    multiples = None
    if quality.rotation_slack:
        slack = importance.rotation_slack(prepared.stored, prepared.importance, quality.rotation_slack)
        multiples = importance.multiples(slack, rotations.STEP_DEGREES)
    code = rotations.encode(prepared.stored.quats, multiples)
    return Quantised({"quats.webp": code}, {}, lambda rows: {"quats": rotations.decode(code[rows])})


def sh0(prepared: Prepared, quality: Quality) -> Quantised:
    """Colour by a codebook; opacity is always a byte."""
    values = prepared.stored.sh0[:, 0]
    book = codebook.uniform_codebook(values, quality.colour_step)
    alpha = opacity.encode(prepared.stored.opacities)
    code = np.concatenate([codebook.nearest(book, values), alpha[:, None]], axis=1)

    def decode(rows: Index) -> dict[str, Any]:
        colour = code[rows]
        return {"sh0": codebook.decode(book, colour[:, :3])[:, None], "opacities": opacity.decode(colour[:, 3])}

    return Quantised({"sh0.webp": code}, {"codebook": book.tolist()}, decode)


ATTRIBUTES: Mapping[str, Callable[[Prepared, Quality], Quantised]] = {
    "means": means,
    "scales": scales,
    "quats": quats,
    "sh0": sh0,
}

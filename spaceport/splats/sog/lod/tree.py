"""How a large model is cut: a k-d tree whose leaves, files and manifest keep within bounds whatever the model is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LOD_LEVELS: Final = 4
MAX_LEAVES: Final = 2_048
LEAF_BYTES: Final = 640  # of lod-meta.json, at most, for a leaf and the branch above it; some 430 as a rule
LARGEST_MANIFEST: Final = MAX_LEAVES * LEAF_BYTES
"""Bytes of the lod-meta.json of the largest model: it has to come before anything is seen."""
MAX_SETS: Final = 300
"""Unbundled sets. Each is eight files at most, whose addresses a browser is sent all at once."""

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class LodSizes:
    """Where a model is cut, in Gaussians of its finest level."""

    smallest_leaf: int = 8_192
    """A leaf costs a viewer the same to describe, sort and choose for however few Gaussians are in it, so none has
    fewer, unless the model has."""
    largest_leaf: int = 65_536
    leaf_width: float = 16.0
    """Scene units: wider leaves are cut even if they hold no more than `largest_leaf`."""
    file: int = 131_072
    """After which a file takes no further leaf: about two megabytes to fetch at once."""

    @classmethod
    def of(cls, count: int) -> LodSizes:
        """For a model of `count` Gaussians: no more than `MAX_LEAVES` leaves in no more than `MAX_SETS` sets."""
        all_levels = 2 * count
        return cls(
            smallest_leaf=max(cls.smallest_leaf, -(-count // MAX_LEAVES)),
            file=max(cls.file, -(-all_levels // (MAX_SETS - LOD_LEVELS))),
        )


def build_tree(means: NDArray[np.float32], sizes: LodSizes) -> dict[str, Any]:
    """A k-d tree of positions [N,3]: nodes hold two `children`, leaves an `index`; split in half along the widest axis
    while too large, but for leaves that would become too small."""

    def node(index: Indices) -> dict[str, Any]:
        positions = means[index]
        extent = positions.max(axis=0) - positions.min(axis=0)
        axis = int(extent.argmax())
        is_large = len(index) > sizes.largest_leaf or extent[axis] > sizes.leaf_width
        if not is_large or len(index) < 2 * sizes.smallest_leaf:
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


def join_bounds(tree: dict[str, Any]) -> None:
    """Give every branch the `bound` that its leaves have."""
    children = tree.get("children", [])
    for child in children:
        join_bounds(child)
    if children:
        low, high = (np.array([child["bound"][edge] for child in children]) for edge in ("min", "max"))
        tree["bound"] = {"min": low.min(axis=0).tolist(), "max": high.max(axis=0).tolist()}

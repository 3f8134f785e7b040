"""Streamed SOG read back and held against its own rules: every Gaussian in one leaf, inside that leaf's bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from services.compress.errors import BrokenSog
from services.compress.reader import BUDGET, read_sog
from spaceport.splats.model import Gaussians

LARGEST_META = 64 << 20
SLACK = 0.02  # share of a leaf's extent by which a stored position may lie outside its bound


def read_level(folder: Path, level: int, budget: int = BUDGET) -> Gaussians:
    """All Gaussians of one level of detail, leaf by leaf.

    Raises:
        BrokenSog: a sentence on the first rule that the set breaks.
    """
    meta = _meta(folder)
    if not 0 <= level < int(meta["lodLevels"]):
        raise BrokenSog(f"There are {meta['lodLevels']} levels of detail; there is no level {level}.")
    parts: list[Gaussians] = []
    filled: dict[int, int] = {}
    loaded: dict[int, Gaussians] = {}
    for leaf in _leaves(meta["tree"]):
        place = leaf["lods"][str(level)]
        number, offset, count = place["file"], place["offset"], place["count"]
        if number not in loaded:
            loaded = {number: read_sog(folder / _name(meta, number), budget)}
        if offset != filled.get(number, 0) or offset + count > len(loaded[number]):
            raise BrokenSog(f"The leaves of {_name(meta, number)} leave a gap or overlap.")
        filled[number] = offset + count
        part = loaded[number].subset(np.arange(offset, offset + count))
        _check_bound(part, leaf["bound"])
        parts.append(part)
    names = parts[0].arrays()
    bands = max(part.shN.shape[1] for part in parts)
    padded: dict[str, Any] = {
        name: np.concatenate([_padded(getattr(part, name), name, bands) for part in parts]) for name in names
    }
    if len(padded["means"]) != meta["counts"][level]:
        raise BrokenSog(
            f"Level {level} holds {len(padded['means'])} Gaussians, not the {meta['counts'][level]} it says."
        )
    return Gaussians(**padded, antialiased=parts[0].antialiased)


def _padded(array: np.ndarray[Any, Any], name: str, bands: int) -> np.ndarray[Any, Any]:
    return np.pad(array, ((0, 0), (0, bands - array.shape[1]), (0, 0))) if name == "shN" else array


def _check_bound(part: Gaussians, bound: dict[str, list[float]]) -> None:
    low, high = np.array(bound["min"]), np.array(bound["max"])
    slack = SLACK * (high - low) + 1e-6
    if (part.means < low - slack).any() or (part.means > high + slack).any():
        raise BrokenSog("A Gaussian lies outside the bound of its leaf.")


def _meta(folder: Path) -> dict[str, Any]:
    path = folder / "lod-meta.json"
    if path.stat().st_size > LARGEST_META:
        raise BrokenSog("lod-meta.json is larger than any scene needs.")
    try:
        meta: dict[str, Any] = json.loads(path.read_bytes())
        if meta["version"] != 1 or len(meta["counts"]) != meta["lodLevels"] or meta["count"] != sum(meta["counts"]):
            raise BrokenSog("lod-meta.json is of another version, or its counts do not add up.")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, BrokenSog):
            raise
        raise BrokenSog("lod-meta.json is damaged.") from None
    return meta


def _leaves(tree: dict[str, Any]) -> list[dict[str, Any]]:
    if "lods" in tree:
        return [tree]
    return [leaf for child in tree["children"] for leaf in _leaves(child)]


def _name(meta: dict[str, Any], number: int) -> str:
    name = str(meta["filenames"][number])
    if name.startswith("/") or ".." in name or ":" in name:
        raise BrokenSog(f"{name[:60]} lies outside the set.")
    return name

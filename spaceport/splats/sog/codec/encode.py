"""A model as SOG version 2: sanitised, ordered, quantised, coded. Pure: no file is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.progress import Progress, Silent
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import SHN_SIZES, degree_of_size
from spaceport.splats.sog.attributes import positions, rotations, weight
from spaceport.splats.sog.attributes.blocks import slices
from spaceport.splats.sog.attributes.quality import KNOBS, STANDARD, Quality
from spaceport.splats.sog.attributes.quantise import ATTRIBUTES, Bounds, Coded, Pixels, Prepared
from spaceport.splats.sog.codec import images
from spaceport.splats.sog.codec.meta import GENERATOR
from spaceport.splats.sog.codec.order import SIDE_STEP, Order, arranged, grid_width, morton_order
from spaceport.splats.sog.codec.sanitise import SMALLEST_LOG_SCALE, sanitise
from spaceport.splats.sog.palette import palette
from spaceport.splats.sog.palette.palette import Palette

ENTRIES_PER_ROW = 64
ORDER_SAMPLE = 16384  # Gaussians that tell which order is the smaller file


class NothingLeft(ValueError):
    """No Gaussian of the model can be stored. `str(error)` says why."""


@dataclass(frozen=True)
class Encoded:
    """A SOG in memory. `files` maps each name to its bytes, meta.json last."""

    files: dict[str, bytes]
    gaussians: Gaussians
    """What was stored: the kept Gaussians, axes relabelled, in the file's order; the source of every comparison."""
    dropped: dict[str, int]
    """How many Gaussians were left out, by reason."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What was chosen: palette entries, its colour error, SH bands."""


@dataclass(frozen=True)
class Part:
    """One attribute in a file: the knob of the quality that made it, what came of it, and its images once coded."""

    knob: float
    coded: Coded
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A model in the form of the file, before its images are coded: that takes the longest, and loses nothing."""

    prepared: Prepared
    parts: dict[str, Part]
    """By the names of `ATTRIBUTES`."""
    palette: Palette | None

    def gaussians(self, rows: slice | NDArray[np.integer] = slice(None)) -> Gaussians:
        """What a reader will get, or some rows of it."""
        decoded = {name: values[rows] for part in self.parts.values() for name, values in part.coded.decoded.items()}
        shn = np.zeros((len(decoded["means"]), 0, 3), np.float32)
        if self.palette is not None:
            shn = self.palette.entries.reshape(len(self.palette.codes), -1, 3)[self.palette.labels[rows]]
        return Gaussians(**decoded, shN=shn, antialiased=self.prepared.stored.antialiased)

    def is_in(self, read: Gaussians) -> bool:
        """Whether a model that was read holds just this, to the bit."""
        if len(read) != len(self.prepared.stored) or read.antialiased != self.prepared.stored.antialiased:
            return False
        return all(
            np.array_equal(values, getattr(read, name)[rows])
            for rows in slices(len(read))
            for name, values in self.gaussians(rows).arrays().items()
        )


@dataclass(frozen=True)
class Plan:
    """How to encode: the quality, the rounds of k-means at full palette size, the seed of all draws, the order."""

    quality: Quality
    rounds: int = 10
    seed: int = 0
    order: Order = "auto"


def encode(gaussians: Gaussians, plan: Plan, progress: Progress) -> Encoded:
    """Encode a model. The same model and plan give the same bytes.

    Raises:
        NothingLeft: the model is empty, or every Gaussian had to be dropped.
    """
    prepared = prepare(gaussians, plan.order, plan.seed, progress)
    found = None
    if features_of(prepared, plan.quality.sh_bands).shape[1]:
        found = fitted(prepared, plan, progress)
    progress.check()
    return code(draft(prepared, plan.quality, found))


def prepare(gaussians: Gaussians, order: Order = "auto", seed: int = 0, progress: Progress | None = None) -> Prepared:
    """Do once what no quality changes: sanitise, relabel the axes, drop SH bands that are all zero, put in order.

    Raises:
        NothingLeft: the model is empty, or every Gaussian had to be dropped.
    """
    kept, dropped = sanitise(gaussians)
    if len(kept) == 0:
        why = ", ".join(f"{number} {reason}" for reason, number in dropped.items()) or "it is empty"
        raise NothingLeft(f"no Gaussian of the model can be stored: {why}")
    bounds = positions.bounds(kept.means)
    quats, scales = rotations.relabelled(kept.quats, np.maximum(kept.scales, SMALLEST_LOG_SCALE))
    used = palette.used_coefficients(kept.shN)
    whole = replace(kept, quats=quats, scales=scales, shN=kept.shN[:, :used])
    q = positions.encode(kept.means, *bounds)
    if order == "auto":
        order = _smaller_order(whole, q, bounds)
    stored = arranged(whole, q, order, seed, progress or Silent())
    return Prepared(stored, weight.visual_weight(stored), bounds, dropped)


def _smaller_order(whole: Gaussians, q: NDArray[np.uint16], bounds: Bounds) -> Order:
    """The order that takes fewer bytes, all but higher SH, for a stretch from the middle of the curve."""
    start = max(0, (len(q) - ORDER_SAMPLE) // 2)
    stretch = morton_order(q)[start : start + ORDER_SAMPLE]
    part, places = whole.subset(stretch), q[stretch]

    def size(order: Order) -> int:
        stored = arranged(part, places, order, 0, Silent())
        prepared = Prepared(stored, weight.visual_weight(stored), bounds, {})
        rows = [coded for quantise in ATTRIBUTES.values() for coded in quantise(prepared, STANDARD).rows.items()]
        return sum(map(len, images.encode_all({file: picture(values) for file, values in rows}).values()))

    ways: tuple[Order, Order] = ("morton", "walk")
    return min(ways, key=size)


def features_of(prepared: Prepared, bands: int) -> NDArray[np.float32]:
    """SH of the first `bands` bands as the palette takes it, [N,C*3]."""
    stored = prepared.stored
    kept = stored.shN[:, : SHN_SIZES[bands]]
    return np.ascontiguousarray(kept).reshape(len(stored), -1)


def fitted(prepared: Prepared, plan: Plan, progress: Progress) -> Palette:
    """The palette that the plan's quality asks for."""
    quality = plan.quality
    most = int(len(prepared.stored) * quality.palette_share)
    goal = palette.Goal(quality.palette_error, quality.palette_size, plan.rounds, quality.sh_step, plan.seed, most)
    return palette.fit(features_of(prepared, quality.sh_bands), prepared.weights, goal, progress)


def draft(
    prepared: Prepared, quality: Quality, found: Palette | None, known: Mapping[str, Part] | None = None
) -> Draft:
    """Quantise all attributes, and lay the palette beside them.

    `known` holds the parts of an earlier draft of the same model: those that this quality leaves alone are taken over.
    """
    parts = {}
    for name, quantise in ATTRIBUTES.items():
        knob = getattr(quality, KNOBS[name])
        part = (known or {}).get(name)
        parts[name] = part if part and part.knob == knob else Part(knob, quantise(prepared, quality))
    return Draft(prepared, parts, found)


def code(drafted: Draft) -> Encoded:
    """Code the images of a draft, but for those that are coded already."""
    palette_pictures, shn, facts = _higher_bands(drafted.palette)
    fresh = {name: part for name, part in drafted.parts.items() if not part.files}
    pictures = {file: picture(rows) for part in fresh.values() for file, rows in part.coded.rows.items()}
    coded = images.encode_all(pictures | palette_pictures)
    for part in fresh.values():
        part.files.update({file: coded[file] for file in part.coded.rows})
    files = {file: data for part in drafted.parts.values() for file, data in part.files.items()}
    files |= {file: coded[file] for file in palette_pictures}
    prepared = drafted.prepared
    meta: dict[str, Any] = {"version": 2, "asset": {"generator": GENERATOR}, "count": len(prepared.stored)}
    if prepared.stored.antialiased:
        meta["antialias"] = True
    meta |= {name: part.coded.meta | {"files": list(part.files)} for name, part in drafted.parts.items()} | shn
    files["meta.json"] = json.dumps(meta, separators=(",", ":"), allow_nan=False).encode()
    return Encoded(files, prepared.stored, prepared.dropped, facts)


def _higher_bands(found: Palette | None) -> tuple[dict[str, Pixels], dict[str, Any], dict[str, Any]]:
    """Images of a palette, its part of meta.json, and what there is to tell of it."""
    if found is None:
        return {}, {}, {"sh_bands": 0}
    size, coefficients = len(found.codes), found.codes.shape[1] // 3
    bands = degree_of_size(coefficients)
    pictures = {
        "shN_centroids.webp": entries_picture(found.codes, coefficients),
        "shN_labels.webp": picture(label_rows(found.labels)),
    }
    shn = {"count": size, "bands": bands, "codebook": found.levels.tolist(), "files": list(pictures)}
    return pictures, {"shN": shn}, {"sh_bands": bands, "palette_entries": size, "palette_colour_error": found.error}


def label_rows(labels: NDArray[np.int64]) -> Pixels:
    """Palette labels [N] as bytes [N,3]: low, high, zero."""
    return np.stack([labels & 255, labels >> 8, np.zeros_like(labels)], axis=1).astype(np.uint8)


def entries_picture(codes: Pixels, coefficients: int) -> Pixels:
    """Lay palette codes [K,C*3] out as [ceil(K/64), 64 C, 3]."""
    rows = -(-len(codes) // ENTRIES_PER_ROW)
    full = np.zeros((rows * ENTRIES_PER_ROW, coefficients * 3), np.uint8)
    full[: len(codes)] = codes
    return full.reshape(rows, ENTRIES_PER_ROW * coefficients, 3)


def picture(values: Pixels) -> Pixels:
    """Lay [N,3 or 4] bytes out row by row in a nearly square image."""
    count, channels = values.shape
    width = grid_width(count)
    height = SIDE_STEP * -(-count // (width * SIDE_STEP))
    full = np.zeros((width * height, channels), np.uint8)
    full[:count] = values
    return full.reshape(height, width, channels)

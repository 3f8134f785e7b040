"""A model as SOG version 2: sanitised, ordered, quantised, coded. Pure: no file is touched."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.compress.codec import images, palette, positions, rotations, weight
from services.compress.codec.attributes import ATTRIBUTES, Bounds, Coded, Pixels, Prepared
from services.compress.codec.meta import GENERATOR
from services.compress.codec.order import SIDE_STEP, Order, arranged, grid_width, morton_order
from services.compress.codec.palette import Palette
from services.compress.codec.quality import KNOBS, STANDARD, Quality
from services.compress.codec.sanitise import SMALLEST_LOG_SCALE, sanitise
from spaceport.pipeline.progress import Progress, Silent
from spaceport.splats.model import Gaussians

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
    """One attribute in a file: the knob of the quality that made it, its part of meta.json, and its images."""

    knob: float
    meta: dict[str, Any]
    files: dict[str, bytes]


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
    return assemble(prepared, plan.quality, found)


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
    kept = stored.shN[:, : (0, 3, 8, 15)[bands]]
    return np.ascontiguousarray(kept).reshape(len(stored), -1)


def fitted(prepared: Prepared, plan: Plan, progress: Progress) -> Palette:
    """The palette that the plan's quality asks for."""
    quality = plan.quality
    most = int(len(prepared.stored) * quality.palette_share)
    goal = palette.Goal(quality.palette_error, quality.palette_size, plan.rounds, quality.sh_step, plan.seed, most)
    return palette.fit(features_of(prepared, quality.sh_bands), prepared.weights, goal, progress)


def assemble(
    prepared: Prepared, quality: Quality, found: Palette | None, known: dict[str, Part] | None = None
) -> Encoded:
    """Quantise and code all attributes, and lay the palette beside them.

    `known` holds the parts of the file that an earlier call made, by attribute: those that this quality leaves alone
    are taken from there, the others replaced.
    """
    known = {} if known is None else known
    pictures: dict[str, Pixels] = {}
    changed: dict[str, tuple[float, Coded]] = {}
    for name, quantise in ATTRIBUTES.items():
        knob = getattr(quality, KNOBS[name])
        if name not in known or known[name].knob != knob:
            changed[name] = knob, (coded := quantise(prepared, quality))
            pictures |= {file: picture(rows) for file, rows in coded.rows.items()}
    facts: dict[str, Any] = {"sh_bands": 0}
    shn: dict[str, Any] = {}
    if found is not None:
        coefficients = found.codes.shape[1] // 3
        bands = {3: 1, 8: 2, 15: 3}[coefficients]
        pictures["shN_centroids.webp"] = entries_picture(found.codes, coefficients)
        pictures["shN_labels.webp"] = picture(label_rows(found.labels))
        size, names = len(found.codes), ["shN_centroids.webp", "shN_labels.webp"]
        shn["shN"] = {"count": size, "bands": bands, "codebook": found.levels.tolist(), "files": names}
        facts = {"sh_bands": bands, "palette_entries": size, "palette_colour_error": found.error}
    coded_files = images.encode_all(pictures)
    for name, (knob, coded) in changed.items():
        known[name] = Part(knob, coded.meta, {file: coded_files.pop(file) for file in coded.rows})
    files = {file: data for name in ATTRIBUTES for file, data in known[name].files.items()} | coded_files
    meta: dict[str, Any] = {"version": 2, "asset": {"generator": GENERATOR}, "count": len(prepared.stored)}
    if prepared.stored.antialiased:
        meta["antialias"] = True
    meta |= {name: known[name].meta | {"files": list(known[name].files)} for name in ATTRIBUTES} | shn
    files["meta.json"] = json.dumps(meta, separators=(",", ":"), allow_nan=False).encode()
    return Encoded(files, prepared.stored, prepared.dropped, facts)


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

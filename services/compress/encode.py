"""A model as SOG version 2: sanitised, ordered, quantised, coded. Pure: no file is touched."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.compress import codebook, images, palette, positions, rotations, weight
from services.compress.meta import GENERATOR
from services.compress.order import morton_order
from services.compress.quality import Quality
from services.compress.sanitise import SMALLEST_LOG_SCALE, alpha_bytes, sanitise
from spaceport.pipeline.progress import Progress
from spaceport.splats.model import Gaussians

ENTRIES_PER_ROW = 64
SIDE_STEP = 4  # image sides are multiples of it, as other writers have them

Pixels = NDArray[np.uint8]


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
class Plan:
    """How to encode: the quality, the rounds of k-means at full palette size, and the seed of its draws."""

    quality: Quality
    rounds: int = 10
    seed: int = 0


def encode(gaussians: Gaussians, plan: Plan, progress: Progress) -> Encoded:
    """Encode a model. The same model and plan give the same bytes.

    Raises:
        NothingLeft: the model is empty, or every Gaussian had to be dropped.
    """
    kept, dropped = sanitise(gaussians)
    if len(kept) == 0:
        why = ", ".join(f"{number} {reason}" for reason, number in dropped.items()) or "it is empty"
        raise NothingLeft(f"no Gaussian of the model can be stored: {why}")
    mins, maxs = positions.bounds(kept.means)
    stored = _canonical(kept, mins, maxs)
    meta: dict[str, Any] = {"version": 2, "asset": {"generator": GENERATOR}, "count": len(stored)}
    pictures: dict[str, Pixels] = {}
    _put_means(stored, plan.quality, (mins, maxs), meta, pictures)
    _put_shape_and_colour(stored, plan.quality, meta, pictures)
    facts = _put_palette(stored, plan, meta, pictures, progress)
    progress.check()
    files = images.encode_all(pictures)
    files["meta.json"] = json.dumps(meta, separators=(",", ":"), allow_nan=False).encode()
    return Encoded(files, stored, dropped, facts)


def _canonical(kept: Gaussians, mins: NDArray[np.float64], maxs: NDArray[np.float64]) -> Gaussians:
    """Relabel the axes, drop SH bands that are all zero, and put neighbours next to each other."""
    quats, scales = rotations.relabelled(kept.quats, np.maximum(kept.scales, SMALLEST_LOG_SCALE))
    used = palette.used_coefficients(kept.shN)
    whole = Gaussians(kept.means, quats, scales, kept.opacities, kept.sh0, kept.shN[:, :used])
    return whole.subset(morton_order(positions.encode(kept.means, mins, maxs)))


def _put_means(
    stored: Gaussians,
    quality: Quality,
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]],
    meta: dict[str, Any],
    pictures: dict[str, Pixels],
) -> None:
    share = quality.position_slack
    slack = weight.position_slack(stored, weight.visual_weight(stored), share) if share else None
    q = positions.encode(stored.means, *bounds, slack)
    pictures["means_l.webp"] = _picture((q & 255).astype(np.uint8))
    pictures["means_u.webp"] = _picture((q >> 8).astype(np.uint8))
    mins, maxs = (edge.tolist() for edge in bounds)
    meta["means"] = {"mins": mins, "maxs": maxs, "files": ["means_l.webp", "means_u.webp"]}


def _put_shape_and_colour(
    stored: Gaussians, quality: Quality, meta: dict[str, Any], pictures: dict[str, Pixels]
) -> None:
    sizes = codebook.uniform_codebook(stored.scales, quality.scale_step)
    pictures["scales.webp"] = _picture(codebook.nearest(sizes, stored.scales))
    meta["scales"] = {"codebook": sizes.tolist(), "files": ["scales.webp"]}
    pictures["quats.webp"] = _picture(rotations.encode(stored.quats, _rotation_multiples(stored, quality)))
    meta["quats"] = {"files": ["quats.webp"]}
    colours = codebook.uniform_codebook(stored.sh0, quality.colour_step)
    alpha = alpha_bytes(stored.opacities)[:, None]
    pictures["sh0.webp"] = _picture(np.concatenate([codebook.nearest(colours, stored.sh0[:, 0]), alpha], axis=1))
    meta["sh0"] = {"codebook": colours.tolist(), "files": ["sh0.webp"]}


def _rotation_multiples(stored: Gaussians, quality: Quality) -> NDArray[np.float64] | None:
    if not quality.rotation_slack:
        return None
    slack = weight.rotation_slack(stored, weight.visual_weight(stored), quality.rotation_slack)
    return weight.multiples(slack, rotations.STEP_DEGREES)


def _put_palette(
    stored: Gaussians, plan: Plan, meta: dict[str, Any], pictures: dict[str, Pixels], progress: Progress
) -> dict[str, Any]:
    coefficients = stored.shN.shape[1]
    if coefficients == 0:
        return {"sh_bands": 0}
    quality = plan.quality
    most = int(len(stored) * quality.palette_share)
    goal = palette.Goal(quality.palette_error, quality.palette_size, plan.rounds, quality.sh_step, plan.seed, most)
    features = np.ascontiguousarray(stored.shN.reshape(len(stored), -1))
    found = palette.fit(features, weight.visual_weight(stored), goal, progress)
    labels = np.stack([found.labels & 255, found.labels >> 8, np.zeros_like(found.labels)], axis=1)
    pictures["shN_centroids.webp"] = entries_picture(found.codes, coefficients)
    pictures["shN_labels.webp"] = _picture(labels.astype(np.uint8))
    size, bands = len(found.codes), stored.sh_degree
    meta["shN"] = {
        "count": size,
        "bands": bands,
        "codebook": found.levels.tolist(),
        "files": ["shN_centroids.webp", "shN_labels.webp"],
    }
    return {"sh_bands": bands, "palette_entries": size, "palette_colour_error": found.error}


def entries_picture(codes: Pixels, coefficients: int) -> Pixels:
    """Lay palette codes [K,C*3] out as [ceil(K/64), 64 C, 3]."""
    rows = -(-len(codes) // ENTRIES_PER_ROW)
    full = np.zeros((rows * ENTRIES_PER_ROW, coefficients * 3), np.uint8)
    full[: len(codes)] = codes
    return full.reshape(rows, ENTRIES_PER_ROW * coefficients, 3)


def _picture(values: Pixels) -> Pixels:
    """Lay [N,3 or 4] bytes out row by row in a nearly square image."""
    count, channels = values.shape
    width = SIDE_STEP * int(np.ceil(np.sqrt(count) / SIDE_STEP))
    height = SIDE_STEP * -(-count // (width * SIDE_STEP))
    full = np.zeros((width * height, channels), np.uint8)
    full[:count] = values
    return full.reshape(height, width, channels)

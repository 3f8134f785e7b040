"""A model as SOG version 2: sanitised, sorted, quantised, coded. Pure: no file is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.progress import Progress, Silent
from spaceport.splats.extras import extras_of
from spaceport.splats.model import Gaussians
from spaceport.splats.scratch import Index, folder_of, take
from spaceport.splats.sh import SHN_SIZES, degree_of_size
from spaceport.splats.sog.attributes import importance, positions, rotations
from spaceport.splats.sog.attributes.quality import KNOBS, STANDARD, Quality
from spaceport.splats.sog.attributes.quantise import ATTRIBUTES, Bounds, Pixels, Prepared, Quantised
from spaceport.splats.sog.attributes.rows import row_slices
from spaceport.splats.sog.codec import images
from spaceport.splats.sog.codec.decode import CENTROIDS_PER_ROW, PackedGaussians, expand_palette
from spaceport.splats.sog.codec.meta import GENERATOR
from spaceport.splats.sog.codec.order import SIDE_STEP, Order, file_order, grid_width, morton_order, sort_gaussians
from spaceport.splats.sog.codec.sanitise import SMALLEST_LOG_SCALE, sanitise
from spaceport.splats.sog.palette.palette import Palette, PaletteSettings, fit_palette, used_coefficients

ORDER_SAMPLE = 16384  # Gaussians that the smaller order is measured on


class EmptyModel(ValueError):
    """No Gaussian of the model can be stored. `str(error)` says why."""


@dataclass(frozen=True)
class Encoded:
    """A SOG in memory."""

    files: dict[str, bytes]
    """The unbundled form: the bytes of each file by its name, meta.json last."""
    gaussians: Gaussians
    """What was stored: the kept Gaussians, axes relabelled, in the file's order; the source of every comparison."""
    dropped: dict[str, int]
    """How many Gaussians were left out, by reason."""
    figures: dict[str, Any] = field(default_factory=dict)
    """`sh_bands`, and with SH bands `palette_entries` and `palette_colour_error`."""


@dataclass(frozen=True)
class EncodedAttribute:
    """One attribute of a file."""

    knob: float
    """The field of the quality that it was quantised by."""
    quantised: Quantised
    files: dict[str, bytes] = field(default_factory=dict)
    """Its images; empty until they are coded."""


@dataclass(frozen=True)
class Draft:
    """A model in the form of the file before its images are coded, which takes the longest and loses nothing."""

    prepared: Prepared
    attributes: dict[str, EncodedAttribute]
    """By the names of `ATTRIBUTES`."""
    palette: Palette | None

    def gaussians(self, rows: Index = slice(None)) -> Gaussians:
        """What a reader will get, or some rows of it."""
        stored = self.prepared.stored
        decoded: dict[str, Any] = {}
        for attribute in self.attributes.values():
            decoded |= attribute.quantised.decode(rows)
        shn = np.zeros((len(decoded["means"]), 0, 3), np.float32)
        if self.palette is not None:
            shn = expand_palette(self.palette.centroids, self.palette.labels[rows], folder_of(stored.shN))
        return Gaussians(**decoded, shN=shn, antialiased=stored.antialiased, frame=stored.frame)

    def equals(self, other: Gaussians | PackedGaussians) -> bool:
        """Whether a model that was read holds just this, to the bit."""
        stored = self.prepared.stored
        if (len(other), other.antialiased, other.frame) != (len(stored), stored.antialiased, stored.frame):
            return False
        return all(
            np.array_equal(values, theirs)
            for rows in row_slices(len(other))
            for values, theirs in zip(
                self.gaussians(rows).arrays().values(), other.subset(rows).arrays().values(), strict=True
            )
        )


@dataclass(frozen=True)
class EncoderSettings:
    """How to encode a model without a search."""

    quality: Quality
    rounds: int = 10
    """Rounds of k-means at the palette's full size."""
    seed: int = 0
    order: Order = "auto"


def encode(gaussians: Gaussians, settings: EncoderSettings, progress: Progress) -> Encoded:
    """Encode a model. The same model and settings give the same bytes.

    Raises:
        EmptyModel: the model is empty, or every Gaussian had to be dropped.
    """
    prepared = prepare(gaussians, settings.order, settings.seed, progress)
    palette = None
    if sh_features(prepared, settings.quality.sh_bands).shape[1]:
        palette = fit_sh_palette(prepared, settings, progress)
    progress.check()
    return encode_images(make_draft(prepared, settings.quality, palette))


def prepare(gaussians: Gaussians, order: Order = "auto", seed: int = 0, progress: Progress | None = None) -> Prepared:
    """Do once what is the same for every quality: sanitise, relabel the axes, drop SH bands that are all zero, sort.

    Raises:
        EmptyModel: the model is empty, or every Gaussian had to be dropped.
        TooMany: the model has more Gaussians than a SOG holds.
    """
    kept, dropped = sanitise(gaussians)
    if len(kept) == 0:
        why = ", ".join(f"{number} {reason}" for reason, number in dropped.items()) or "it is empty"
        raise EmptyModel(f"no Gaussian of the model can be stored: {why}")
    bounds = positions.bounds(kept.means)
    quats, scales = rotations.relabel_axes(kept.quats, np.maximum(kept.scales, SMALLEST_LOG_SCALE))
    used = used_coefficients(kept.shN)
    bare = replace(kept.without_sh(), quats=quats, scales=scales)
    q = positions.encode(kept.means, *bounds)
    if order == "auto":
        order = _smaller_order(bare, q, bounds)
    index = file_order(bare, q, order, seed, progress or Silent())
    stored = replace(bare.subset(index), shN=take(kept.shN, index, slice(used)))
    return Prepared(stored, importance.visual_importance(stored), bounds, dropped)


def _smaller_order(bare: Gaussians, q: NDArray[np.uint16], bounds: Bounds) -> Order:
    """The order that takes fewer bytes, without higher SH, for a stretch from the middle of the curve."""
    start = max(0, (len(q) - ORDER_SAMPLE) // 2)
    stretch = morton_order(q)[start : start + ORDER_SAMPLE]
    sample, sample_q = bare.subset(stretch), q[stretch]

    def size(order: Order) -> int:
        stored = sort_gaussians(sample, sample_q, order, 0, Silent())
        prepared = Prepared(stored, importance.visual_importance(stored), bounds, {})
        rows = [item for quantise in ATTRIBUTES.values() for item in quantise(prepared, STANDARD).rows.items()]
        return sum(map(len, images.encode_all({file: to_image(values) for file, values in rows}).values()))

    orders: tuple[Order, Order] = ("morton", "walk")
    return min(orders, key=size)


def sh_features(prepared: Prepared, bands: int) -> NDArray[np.float32]:
    """SH of the first `bands` bands as the palette takes it, [N,C*3]."""
    stored, size = prepared.stored, SHN_SIZES[bands]
    kept = stored.shN if size >= stored.shN.shape[1] else take(stored.shN, slice(None), slice(size))
    return kept.reshape(len(stored), -1)


def fit_sh_palette(prepared: Prepared, settings: EncoderSettings, progress: Progress) -> Palette:
    """The palette that the settings' quality asks for."""
    quality = settings.quality
    palette_settings = PaletteSettings(
        error=quality.palette_error,
        size=quality.palette_size,
        rounds=settings.rounds,
        step=quality.sh_step,
        seed=settings.seed,
        max_size=int(len(prepared.stored) * quality.palette_share),
    )
    return fit_palette(sh_features(prepared, quality.sh_bands), prepared.importance, palette_settings, progress)


def make_draft(
    prepared: Prepared,
    quality: Quality,
    palette: Palette | None,
    earlier: Mapping[str, EncodedAttribute] | None = None,
) -> Draft:
    """Quantise all attributes.

    `earlier` holds the attributes of an earlier draft of the same model: those that this quality leaves alone are
    reused, with their images.
    """
    attributes = {}
    for name, quantise in ATTRIBUTES.items():
        knob = getattr(quality, KNOBS[name])
        same = (earlier or {}).get(name)
        if same is None or same.knob != knob:
            same = EncodedAttribute(knob, quantise(prepared, quality))
        attributes[name] = same
    return Draft(prepared, attributes, palette)


def encode_images(draft: Draft) -> Encoded:
    """Code the images of a draft that are not coded yet."""
    palette_images, shn, figures = _encode_palette(draft.palette)
    new = [attribute for attribute in draft.attributes.values() if not attribute.files]
    pixels = {file: to_image(rows) for attribute in new for file, rows in attribute.quantised.rows.items()}
    coded = images.encode_all(pixels | palette_images)
    for attribute in new:
        attribute.files.update({file: coded[file] for file in attribute.quantised.rows})
    files = {file: data for attribute in draft.attributes.values() for file, data in attribute.files.items()}
    files |= {file: coded[file] for file in palette_images}
    prepared = draft.prepared
    meta: dict[str, Any] = {"version": 2, "asset": {"generator": GENERATOR}, "count": len(prepared.stored)}
    if extras := extras_of(prepared.stored.frame):
        meta["extras"] = extras
    if prepared.stored.antialiased:
        meta["antialias"] = True
    for name, attribute in draft.attributes.items():
        meta[name] = attribute.quantised.meta | {"files": list(attribute.files)}
    files["meta.json"] = json.dumps(meta | shn, separators=(",", ":"), allow_nan=False).encode()
    return Encoded(files, prepared.stored, prepared.dropped, figures)


def _encode_palette(palette: Palette | None) -> tuple[dict[str, Pixels], dict[str, Any], dict[str, Any]]:
    """The images of a palette, its part of meta.json, and its part of `Encoded.figures`."""
    if palette is None:
        return {}, {}, {"sh_bands": 0}
    size, coefficients = len(palette.codes), palette.codes.shape[1] // 3
    bands = degree_of_size(coefficients)
    pixels = {
        "shN_centroids.webp": centroids_image(palette.codes, coefficients),
        "shN_labels.webp": to_image(label_bytes(palette.labels)),
    }
    shn = {"count": size, "bands": bands, "codebook": palette.codebook.tolist(), "files": list(pixels)}
    return pixels, {"shN": shn}, {"sh_bands": bands, "palette_entries": size, "palette_colour_error": palette.error}


def label_bytes(labels: NDArray[np.int64]) -> Pixels:
    """Palette labels [N] as bytes [N,3]: low, high, zero."""
    pixels = np.zeros((len(labels), 3), np.uint8)
    pixels[:, 0], pixels[:, 1] = labels & 255, labels >> 8
    return pixels


def centroids_image(codes: Pixels, coefficients: int) -> Pixels:
    """Lay the codes of centroids [K,C*3] out as [ceil(K/64), 64 C, 3]."""
    rows = -(-len(codes) // CENTROIDS_PER_ROW)
    full = np.zeros((rows * CENTROIDS_PER_ROW, coefficients * 3), np.uint8)
    full[: len(codes)] = codes
    return full.reshape(rows, CENTROIDS_PER_ROW * coefficients, 3)


def to_image(values: Pixels) -> Pixels:
    """Lay [N,3 or 4] bytes out row by row in a nearly square image."""
    count, channels = values.shape
    width = grid_width(count)
    height = SIDE_STEP * -(-count // (width * SIDE_STEP))
    full = np.zeros((width * height, channels), np.uint8)
    full[:count] = values
    return full.reshape(height, width, channels)

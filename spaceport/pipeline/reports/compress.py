"""`compressed/report.json`: what the compress stage measured."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from spaceport.pipeline.options import CompressPreset

Decibel = Annotated[float, Field(allow_inf_nan=False)]
Error = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoredQuality(_Model):
    """How finely each attribute is stored; a step of 0 is as fine as the format can be."""

    palette_error: Error
    """Tolerated root mean square colour error of the SH palette, in units of full white."""
    palette_size: Number | None
    """Entries of the SH palette; null where there is none."""
    palette_share: Error
    """Most palette entries as a share of the Gaussians."""
    position_slack: Error
    """How far a Gaussian of mean importance may move, as a share of its smallest standard deviation."""
    scale_step: Error
    """Step of the natural logarithm of the standard deviations."""
    colour_step: Error
    """Step of the constant SH coefficient; 1 is 0.28 of full white."""
    sh_step: Error
    """Step of the palette's SH coefficients."""
    rotation_slack: Error
    """How far a Gaussian of mean importance and an axis ratio of 1.6 may turn, in degrees."""
    sh_bands: Annotated[int, Field(ge=0, le=3)]
    """SH bands that are kept."""


class RmsErrors(_Model):
    """Root mean square error of each attribute, over the stored Gaussians."""

    position: Error
    """Scene units."""
    log_scale: Error
    """Of the natural logarithm of the standard deviations."""
    rotation_degrees: Error
    opacity: Error
    """Of 0 to 1."""
    colour: Error
    """In units of full white."""
    sh_coefficient: Error | None = None
    """Of the higher SH coefficients; absent where the model has none."""


class ViewKind(StrEnum):
    """Where a view of the proof looks from."""

    ORBIT = "orbit"
    """Around a model that came without cameras; the same for the next three."""
    NEAR = "near"
    ABOVE = "above"
    INSIDE = "inside"
    PHOTO = "photo"
    """One of a job's own cameras."""
    BETWEEN = "between"
    """Halfway from one of them to another."""
    BELOW = "below"
    """Halfway from one of them to what it looks at."""


class PsnrOfViews(_Model):
    """Over the views of one kind."""

    mean: Decibel
    """dB."""
    worst: Decibel
    """dB."""


class CompressedView(_Model):
    """How like the original the decoded model looks from one camera."""

    kind: ViewKind
    name: str
    held_out: bool
    """Whether its photo was kept out of training."""
    psnr: Decibel
    """dB; 100 for equal pictures."""


class CompressAttempt(_Model):
    """One setting that was tried."""

    foreseen_bytes: Number
    """Size of the bundle that was foreseen for it."""
    sog_psnr: Decibel
    """Mean PSNR over the views that it reached, dB."""


class HeldOutPsnr(_Model):
    """How like the photos that training never saw: PSNR in dB, means over the photos."""

    photos: Number
    """Photos that were compared."""
    model: Decibel
    """Of the trained model."""
    file: Decibel
    """Of the decoded file."""
    loss: Decibel
    """`model` less `file`: what compression costs on photos; papers call it the loss of test PSNR."""


class CompressReport(_Model):
    """`jobs/ID/compressed/report.json`: how small the model became, how alike it looks, and where its bytes go.

    Keys that do not apply are absent.
    """

    gaussians: Number
    """Gaussians in the file."""
    dropped: dict[str, Number]
    """Gaussians that could not be shown or stored, by reason."""
    sh_bands: Annotated[int, Field(ge=0, le=3)]
    """SH bands in the file."""
    palette_entries: Number | None = None
    """Entries of the SH palette; absent without SH bands."""
    palette_colour_error: Error | None = None
    """Weighted root mean square colour error of the palette, in units of full white; absent without SH bands."""
    ply_bytes: Number
    """Size of the model as PLY."""
    sog_bytes: Number
    """Size of the bundle `model.sog`."""
    ratio: Error
    """`ply_bytes` by `sog_bytes`."""
    mb_per_million: Error | None = None
    """`sog_bytes` in MB by a million Gaussians; absent from an older version's report."""
    file_bytes: dict[str, Number]
    """Size of each file of the unbundled form."""
    attribute_bytes: dict[str, Number]
    """Where the bundle's bytes go: means, scales, quats, sh0_opacity, shN_centroids, shN_labels, meta."""
    preset: CompressPreset
    """The preset that the file was made with: the one of the options, or one above it."""
    target_psnr: Decibel | None
    """What was aimed at, dB; null with `max_bytes` alone."""
    max_bytes: Number | None
    """The limit that was set."""
    missed: str | None
    """Why the file is less like the model than was asked for; null when it is not."""
    ceiling_psnr: Decibel | None
    """Mean PSNR over the views with everything stored as finely as the format can, dB; null where it was not measured,
    because no target was hard to reach."""
    why_not: str | None
    """Why nothing is published; null when it is."""
    quality: StoredQuality
    rms_errors: RmsErrors
    sog_psnr: Decibel
    """Mean PSNR over the views, decoded file against model, dB."""
    sog_psnr_worst: Decibel
    """Lowest PSNR of a view, dB."""
    min_psnr: Decibel
    """What the options ask for at least, dB."""
    held_out: HeldOutPsnr | None = None
    """Absent where no held-out photo could be compared."""
    held_out_missing: str | None = None
    """Why none could be; absent where some were."""
    views: list[CompressedView]
    """The views of the proof: the first of each kind, then the second of each; held-out photos first."""
    kinds: dict[ViewKind, PsnrOfViews]
    """The same by where they look from."""
    attempts: list[CompressAttempt]
    """All settings that were tried, in order."""
    seed: Number
    views_from: str
    """Where the views come from, in words."""
    published: bool
    """Whether the SOG lies beside this report."""
    attribute_psnr: dict[str, Decibel] | None = None
    """PSNR with nothing rounded but one attribute, by attribute, dB; absent when nothing is published."""
    lod_levels: Number | None = None
    """Levels of detail; this and the next eight are absent where none are published."""
    lod_files: Number | None = None
    """Unbundled SOGs that the levels of detail lie in."""
    lod_leaves: Number | None = None
    """Places that a viewer chooses a level for."""
    lod_counts: list[Number] | None = None
    """Gaussians of each level, finest first."""
    lod_bytes: list[Number] | None = None
    """Size of the files of each level, finest first."""
    lod_meta_bytes: Number | None = None
    """Size of `lod/lod-meta.json`."""
    lod_errors: list[Error] | None = None
    """How far each level is from the finest, as pictures, mean over the leaves: 0 the same, 1 as wrong as nothing."""
    lod_psnr: Decibel | None = None
    """Mean PSNR of the finest level over the views, dB."""
    lod_seconds: Error | None = None
    """Seconds that making, writing and proving the levels took."""
    lod_missed: str | None = None
    """Why no levels of detail are published, although they were asked for."""
    look_seconds: Error | None = None
    """Seconds that the first view, the poster and the flight took to choose and render; absent where nothing is
    published."""
    flight_pictures: Number | None = None
    """Pictures that were rendered for the video; of 300 frames, those without one of their own show the last."""
    flight_size: tuple[Number, Number] | None = None
    """Width and height at which they were rendered; the video is 1280 x 720."""
    flight_missed: str | None = None
    """Why there is no video of the flight, although it was asked for; a sentence."""

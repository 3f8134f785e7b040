"""`gaussian/report.json`: what the training stage decided and measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from spaceport.pipeline.options import TrainOptions

Decibel = Annotated[float, Field(allow_inf_nan=False)]
Similarity = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TrainCounts(_Model):
    """What was made."""

    gaussians: Number
    """In model.ply."""
    pruned: Number
    """Gaussians left out at the end, because the photos hardly show them."""
    cap: Number
    """Gaussians at most."""
    cap_why: str
    """What set the cap, as a phrase for people."""
    iterations: Number
    ply_bytes: Number
    """Of model.ply."""
    stopped_by: Literal["iterations", "plateau", "target_psnr", "time", "budget"]
    """Why training ended."""


class TrainQuality(_Model):
    """Means over photos, PSNR in dB; `cc`: after the best affine map of each render's colours. Without held-out photos
    (fewer than 8 in all) their fields are missing."""

    psnr_held_out: Decibel | None = None
    ssim_held_out: Similarity | None = None
    psnr_held_out_cc: Decibel | None = None
    ssim_held_out_cc: Similarity | None = None
    psnr_train: Decibel | None = None
    ssim_train: Similarity | None = None
    psnr_train_cc: Decibel | None = None
    ssim_train_cc: Similarity | None = None


class TrainDevice(_Model):
    """Where training ran."""

    kind: Literal["cpu", "cuda"]
    name: str
    why: str
    """Why this one was chosen, as a phrase for people."""
    threads: Number
    """Of the CPU."""
    cuda_bytes: Number | None
    """Memory of the GPU; null on a CPU."""


class TrainCap(_Model):
    """The most Gaussians, and what set that number."""

    gaussians: Number
    why: str


class TrainPhotos(_Model):
    """Photos by use."""

    training: Number
    held_out: Number


class TrainFrame(_Model):
    """The frame that was trained in: world = centre + extent * training."""

    centre: tuple[float, float, float]
    """World units."""
    extent: Annotated[float, Field(gt=0)]
    """World units per training unit."""


class TrainValidation(_Model):
    """The validation photos, whose PSNR was followed during training."""

    photos: list[str]
    held_out: bool
    """False: none is held out, and these are photos that were trained on."""
    best_psnr: Decibel
    """Mean over these photos, of the model that was published (before pruning)."""
    best_iteration: Number


class TrainEvaluation(_Model):
    """One line of training.log."""

    iteration: Number
    loss: float
    """Of the photo of this iteration."""
    psnr: Decibel
    """Mean over the validation photos."""
    gaussians: Number
    seconds: Annotated[float, Field(ge=0)]
    """Of training so far."""
    level: Annotated[float, Field(gt=0, le=1)]
    """Size of the photos in use, as a fraction of the full one."""


class TrainView(_Model):
    """Scores of one photo, PSNR in dB; `cc`: after the best affine map of the render's colours."""

    name: str
    held_out: bool
    psnr: Decibel
    ssim: Similarity
    psnr_cc: Decibel
    ssim_cc: Similarity


class TrainPruning(_Model):
    """What was pruned at the end; PSNR in dB, colour-corrected, over held-out and trained photos."""

    gaussians: Number
    sh_bands: Number
    psnr_before: Decibel
    psnr_after: Decibel


class TrainReport(_Model):
    """Everything that a training decided and measured."""

    version: Literal[1]
    counts: TrainCounts
    quality: TrainQuality
    seconds: Annotated[float, Field(ge=0)]
    """Of training, without reading, pruning and evaluation."""
    device: TrainDevice
    cap: TrainCap
    photos: TrainPhotos
    image_size: Number
    """Longest side of the photos at the finest level, pixels."""
    sh_degree: Annotated[int, Field(ge=0, le=3)]
    antialiased: bool
    """The model must be drawn with Mip-Splatting's compensation."""
    points: Number
    """In the sparse model."""
    frame: TrainFrame
    watched: TrainValidation
    options: TrainOptions
    curve: list[TrainEvaluation]
    """Every evaluation, as in training.log, unrounded."""
    views: list[TrainView]
    """Every photo that was evaluated in the end."""
    preview: list[str] | None = None
    """Names of the photos in preview.jpg, from the top; absent from an older version's report."""
    held_out_photos: list[str] | None = None
    """Names of the photos in held-out-0.jpg and on; absent from an older version's report."""
    pruned: TrainPruning | None
    """Null when the job did not ask for pruning."""

"""All options of a job: one model per stage, three presets, and the flat fields of the original system.

`resolve` is the only way to make options: first the preset, then what the user set by name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spaceport.pipeline.errors import Refused, Slug


class Preset(StrEnum):
    DRAFT = "draft"
    STANDARD = "standard"
    HIGH = "high"


OPTION_TITLES: Final = {
    "max_image_size": "Longest side of photos, pixels",
    "max_photos": "Most photos",
    "max_features": "Features per photo",
    "first_octave": "First octave of SIFT",
    "max_iterations": "Most iterations",
    "max_looks": "Most looks at each photo",
    "max_gaussians": "Most Gaussians",
    "image_size": "Longest side in training, pixels",
    "sh_degree": "Degree of spherical harmonics",
    "prune": "Prune at the end",
    "progressive_resolution": "Small photos first",
    "plateau_stop": "Stop at the plateau",
    "plateau_patience": "Patience at the plateau, iterations",
    "target_psnr": "PSNR to reach, dB",
    "max_minutes": "Most minutes",
    "max_usd": "Most dollars",
    "test_every": "Hold out every n-th photo",
    "threads": "CPU threads",
    "max_bytes": "Largest file, bytes",
    "palette_size": "Entries of the SH palette",
    "kmeans_rounds": "Rounds of k-means",
    "order": "Order of the Gaussians",
    "lod": "Levels of detail",
    "min_psnr": "Lowest PSNR to publish, dB",
    "compress_enabled": "Compress the model",
    "preset": "Preset",
}
"""Names of options, for people. Any other's is its own name in words."""


def _title(name: str, _: object) -> str:
    return OPTION_TITLES.get(name, name.replace("_", " ").capitalize())


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, field_title_generator=_title)


class SfmOptions(_Options):
    """Structure from motion."""

    max_image_size: Annotated[int, Field(ge=320, le=8192)] = 1600
    """Longest side in pixels at which features are extracted and photos are undistorted."""
    max_photos: Annotated[int, Field(ge=3, le=10_000)] = 500
    """The most photos to use; of more, sharp ones are chosen evenly along the flight."""
    max_features: Annotated[int, Field(ge=256, le=16384)] = 8192
    """SIFT features kept per photo."""
    first_octave: Literal[-1, 0] = 0
    """-1 doubles the photo's size before the extraction: more features in three times the time."""
    matching: Literal["auto", "spatial", "exhaustive", "sequential", "retrieval"] = "auto"
    """auto: spatial with GPS, exhaustive up to 60 photos, else by time and similarity; more pairs where few match."""
    mapper: Literal["auto", "incremental", "global"] = "auto"
    """auto: incremental, and also global when photos are left unregistered; the better model is kept."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: SIFT on a GPU where `pycolmap-cuda12` finds one."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """The same seed and input give the same result."""


class TrainOptions(_Options):
    """Training of the Gaussians."""

    preset: Preset = Preset.STANDARD
    """How much work: what the next four options are by default, on this device and with so many photos."""
    max_iterations: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """The most training steps; each step fits one photo. By default by preset and device: up to 30,000 for `standard`
    on a GPU, 2,500 on two CPU threads. Few photos get fewer: see `max_looks`."""
    max_looks: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """The most steps for each photo: a few photos that are trained on for too long are overfitted."""
    max_gaussians: Annotated[int, Field(ge=1_000, le=10_000_000)] | None = None
    """The most Gaussians; by default chosen from preset, photos and device."""
    image_size: Annotated[int, Field(ge=64, le=8192)] | None = None
    """Longest side in pixels of the finest level; by default the full photo on a GPU, less on a CPU (640 for `standard`
    on two threads)."""
    sh_degree: Annotated[int, Field(ge=0, le=3)] = 3
    """Highest band of spherical harmonics, for colour that depends on the view; with under 48 photos fewer are used."""
    antialiased: bool = False
    """Gaussians thinner than a pixel keep their weight (Mip-Splatting): for models seen at many scales. Viewers must
    then render the model the same way; its files say so."""
    prune: bool = True
    """Remove, at the end, Gaussians and colour bands that hardly matter for the photos: at most 0.05 dB in all."""
    progressive_resolution: bool = True
    """Train on quarter, half and three-quarter photos before the full level."""
    plateau_stop: bool = True
    """Stop when the held-out PSNR no longer rises."""
    plateau_patience: Annotated[int, Field(ge=50, le=100_000)] | None = None
    """Iterations without a better held-out PSNR that count as a plateau; by default a tenth of all, 500 at least."""
    target_psnr: Annotated[float, Field(gt=0, le=100)] | None = None
    """Stop as soon as the held-out PSNR reaches this, in dB."""
    max_minutes: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Stop after this many minutes of the stage; the schedule is shortened to fit, so that it still completes."""
    max_usd: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """The same by what the machine of the training has cost; has no effect on a machine of your own."""
    test_every: Annotated[int, Field(ge=2, le=1000)] = 8
    """Every n-th photo is held out of training, to measure only."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: cuda where there is a GPU."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """CPU threads; by default all cores."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """The same seed and input give the same result."""


class CompressPreset(StrEnum):
    WEB = "web"
    BALANCED = "balanced"
    ARCHIVE = "archive"


class CompressOptions(_Options):
    """Compression to SOG."""

    preset: CompressPreset = CompressPreset.BALANCED
    """How well the file must match the model without `target_psnr`: web 42 dB, balanced 45 dB, archive 50 dB."""
    target_psnr: Annotated[float, Field(gt=0, le=100)] | None = None
    """Make the smallest file that matches the model this well, in dB, or as well as the format can."""
    max_bytes: Annotated[int, Field(ge=1_000, le=2**32 - 1)] | None = None
    """Publish no larger file. Without `target_psnr`, make the best one of that size."""
    palette_size: Annotated[int, Field(ge=64, le=65536)] | None = None
    """Entries of the SH palette; by default as many as the target needs at the fewest bytes."""
    kmeans_rounds: Annotated[int, Field(ge=1, le=100)] = 10
    """Iterations of the palette's k-means."""
    order: Literal["auto", "walk", "morton", "plas"] = "auto"
    """morton: a curve through space; walk: along it, to the most similar; auto: the smaller; plas: a smooth grid."""
    lod: Literal["auto", "never", "always"] = "auto"
    """Also write levels of detail, for streaming. auto: when the compressed model has more than 2 MB."""
    flight: bool = True
    """Also render a flight of ten seconds through the model as a video; it takes at most a tenth of the job's time."""
    min_psnr: Annotated[float, Field(gt=0, le=100)] = 30.0
    """The decoded file must match the model this well, in dB, or it is not published."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """The same seed and input give the same result."""


class JobOptions(_Options):
    """All options of a job, with its preset applied."""

    preset: Preset = Preset.STANDARD
    sfm: SfmOptions = SfmOptions()
    train: TrainOptions = TrainOptions()
    compress: CompressOptions = CompressOptions()
    compress_enabled: bool = True
    """False: the job ends with the trained model, uncompressed."""


PRESETS: dict[Preset, dict[str, dict[str, Any]]] = {
    Preset.DRAFT: {
        "sfm": {"max_photos": 150, "max_image_size": 1200, "max_features": 4096},
        "train": {"preset": Preset.DRAFT},
        "compress": {"preset": CompressPreset.WEB},
    },
    Preset.STANDARD: {
        "sfm": {},
        "train": {"preset": Preset.STANDARD},
        "compress": {"preset": CompressPreset.BALANCED},
    },
    Preset.HIGH: {
        "sfm": {"max_photos": 2000, "first_octave": -1, "max_image_size": 2400},
        "train": {"preset": Preset.HIGH},
        "compress": {"preset": CompressPreset.ARCHIVE, "min_psnr": 35.0},
    },
}

# The flat fields of the original system, and the option that each one sets. `None`: handled in `_from_legacy`.
LEGACY: dict[str, tuple[str, str] | None] = {
    "progressive_resolution": ("train", "progressive_resolution"),
    "psnr_plateau_termination": ("train", "plateau_stop"),
    "target_psnr": ("train", "target_psnr"),
    "max_iterations": ("train", "max_iterations"),
    "plateau_patience": ("train", "plateau_patience"),
    "optimization_enabled": None,  # false: progressive_resolution and plateau_stop off
    "sogs_compression": None,  # false: compress_enabled off
    "gpu_acceleration": None,  # false: device cpu
}


def resolve(options: dict[str, Any] | None = None) -> JobOptions:
    """Make a job's options from those of a user: nested as in `JobOptions`, or the original system's flat fields.

    Raises:
        Refused: `bad_options`, naming each invalid field.
    """
    if not isinstance(options, dict | None):
        raise Refused(Slug.BAD_OPTIONS, detail="the options must be an object")
    try:
        merged = _from_legacy(dict(options or {}))
        preset = Preset(merged.get("preset") or Preset.STANDARD)
        for stage, defaults in PRESETS[preset].items():
            chosen = merged.get(stage, {})
            if not isinstance(chosen, dict):
                raise Refused(Slug.BAD_OPTIONS, detail=f"`{stage}` must be an object")
            merged[stage] = defaults | chosen
        return JobOptions.model_validate(merged | {"preset": preset})
    except ValidationError as error:
        raise Refused(Slug.BAD_OPTIONS, detail=validation_message(error)) from None
    except ValueError:
        names = ", ".join(Preset)
        raise Refused(Slug.BAD_OPTIONS, detail=f"the preset must be one of {names}") from None


def _from_legacy(options: dict[str, Any]) -> dict[str, Any]:
    flat = {name: options.pop(name) for name in list(options) if name in LEGACY}
    for name, value in flat.items():
        target = LEGACY[name]
        if target is not None and value is not None:
            _set_default(options, *target, value)
    if flat.get("optimization_enabled") is False:
        _set_default(options, "train", "progressive_resolution", False)
        _set_default(options, "train", "plateau_stop", False)
    if flat.get("gpu_acceleration") is False:
        _set_default(options, "train", "device", "cpu")
    if "sogs_compression" in flat:
        options.setdefault("compress_enabled", flat["sogs_compression"])
    return options


def _set_default(options: dict[str, Any], stage: str, name: str, value: object) -> None:
    section = options.get(stage, {})
    if isinstance(section, dict):  # `resolve` refuses anything else
        options[stage] = {name: value} | section


def validation_message(error: ValidationError) -> str:
    """One line for people from pydantic's list: each field, and what is wrong with it."""
    lines = [f"`{'.'.join(str(part) for part in item['loc'])}`: {item['msg'].lower()}" for item in error.errors()[:5]]
    return "; ".join(lines)

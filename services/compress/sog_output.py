"""A model written as SOG, in any of its forms, or as a page that holds one: compressed and proven as in a job.

A SOG that becomes another form of itself, or a page, is not compressed again: its images stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.compress.core import Compressed, compress
from services.compress.lod import write_lod
from services.compress.proving.proof import Proof
from services.compress.report import bytes_by_attribute, missed_target
from spaceport.files import replacing_folder, write_atomic
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Progress, Share
from spaceport.splats.cameras import Camera
from spaceport.splats.formats import html
from spaceport.splats.formats.limits import UNBUNDLED, BrokenFile
from spaceport.splats.formats.table import SOG, SOG_FOLDER, STREAMED_SOG, Format
from spaceport.splats.frame import Vec3
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import degree_of_size
from spaceport.splats.sog.codec.writer import pack_bundle, write_folder
from spaceport.splats.sog.lod.reader import LOD_META
from spaceport.splats.sog.palette.palette import used_coefficients

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Written:
    """What writing one file cost."""

    psnr: float | None = None
    """Mean over the views, dB; None where nothing is lost."""
    lost: tuple[str, ...] = ()
    """What was left out, in words."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """For the result, of a SOG."""


@dataclass(frozen=True)
class SogTarget:
    """Where a SOG goes, and how it is shown there."""

    path: Path
    form: Format
    up: Vec3
    title: str


def write_as_it_is(target: SogTarget, files: Files, model: Gaussians) -> Written:
    """Write the files of an unbundled SOG, which are not touched. `model` is what is in them."""
    _put(target, files, pack_bundle(files), model, [])
    return Written(figures={"missed": None, "attribute_bytes": {}, "attribute_psnr": {}})


def write_sog(
    target: SogTarget, model: Gaussians, cameras: list[Camera], options: CompressOptions, progress: Progress
) -> Written:
    """Compress a model and write it.

    Raises:
        BrokenFile: no file was good enough, or its folder holds other things.
    """
    if target.form in (SOG_FOLDER, STREAMED_SOG):
        _own_folder(target.path)
    compressed = compress(model, cameras, options, progress)
    if compressed.rejection:
        raise BrokenFile(f"Nothing is written, since no file was good enough: {compressed.rejection}.")
    psnr = compressed.proof.mean
    levels: dict[str, Any] = {}
    if target.form is STREAMED_SOG:
        levels = _write_streamed(_own_folder(target.path), compressed, options, Share(progress, 0.95, 1))
        psnr = levels["lod_psnr"]
    else:
        _put(target, compressed.encoded.files, compressed.bundle, model, cameras)
    bands = compressed.encoded.figures["sh_bands"]
    lost = (f"SH bands above {bands}, which this quality does without",) * (bands < used_bands(model))
    figures = {
        "missed": missed_target(compressed),
        "attribute_bytes": bytes_by_attribute(compressed),
        "attribute_psnr": compressed.attribute_psnr,
        "kinds": {} if target.form is STREAMED_SOG else kinds_of(compressed.proof),
        **levels,
    }
    return Written(psnr, lost, figures)


def kinds_of(proof: Proof) -> dict[str, dict[str, float]]:
    """`mean` and `worst` in dB by where views look from."""
    return {kind.value: psnr.model_dump() for kind, psnr in proof.kinds.items()}


def _put(target: SogTarget, files: Files, bundle: bytes, model: Gaussians, cameras: list[Camera]) -> None:
    if target.form is SOG:
        write_atomic(target.path, bundle)
    elif target.form is SOG_FOLDER:
        with replacing_folder(_own_folder(target.path)) as folder:
            write_folder(folder, files)
    else:
        html.write(target.path, files, html.first_view(model, target.up, cameras), target.title)


def _write_streamed(
    target: Path, compressed: Compressed, options: CompressOptions, progress: Progress
) -> dict[str, Any]:
    """Write levels of detail. Returns what `write_lod` says of them."""
    with replacing_folder(target) as folder:
        figures = write_lod(folder, compressed, options, progress)
        if "lod_missed" in figures:
            raise BrokenFile(figures["lod_missed"])
    return figures


def used_bands(model: Gaussians) -> int:
    """SH bands without those above that are all zero."""
    return degree_of_size(used_coefficients(model.shN))


def _own_folder(target: Path) -> Path:
    """The folder of an unbundled set, which is replaced as a whole: so it may hold another set, but nothing else."""
    folder = (target if target.is_dir() or not target.suffix else target.parent).resolve()
    streamed = (folder / LOD_META).is_file()
    if folder.exists() and not (
        folder.is_dir() and all(each.suffix in UNBUNDLED or (streamed and _is_set(each)) for each in folder.iterdir())
    ):
        raise BrokenFile(f"{folder} holds other things. An unbundled SOG needs a folder of its own.")
    if Path.cwd().is_relative_to(folder):
        raise BrokenFile("An unbundled SOG takes the place of its folder, and you are in it. Name another one.")
    return folder


def _is_set(folder: Path) -> bool:
    """Whether a folder in a streamed SOG is one of its sets."""
    return re.fullmatch(r"\d+_\d+", folder.name) is not None and folder.is_dir()

"""`python -m services.compress.convert IN OUT`: a model from any format to any other, and what that cost.

SOG and the HTML page are compressed by the options and proven as those of a job are. Every other lossy file is read
back and rendered beside its source.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.compress.core import Compressed, compress
from services.compress.editing import Edit, apply
from services.compress.json_lines import JsonLinesProgress, run_with_json_lines
from services.compress.lod import write_lod
from services.compress.proving.proof import Prover
from services.compress.proving.views import ring_cameras, select_cameras
from services.compress.report import bytes_by_attribute, missed_target
from spaceport.files import replacing_folder, write_atomic
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Progress, Share
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.formats import gltf, html
from spaceport.splats.formats.limits import UNBUNDLED, BrokenFile, bytes_of
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.formats.table import (
    GLB,
    GLTF,
    HTML,
    PLY,
    SOG,
    SOG_FOLDER,
    STREAMED_SOG,
    Format,
    format_of,
    read_model,
)
from spaceport.splats.frame import AXES, Vec3, axis_name
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import SHN_SIZES, degree_of_size
from spaceport.splats.sog.codec.sanitise import sanitise
from spaceport.splats.sog.codec.writer import write_folder
from spaceport.splats.sog.lod.reader import LOD_META
from spaceport.splats.sog.palette.palette import used_coefficients

CAMERAS = "cameras.json"
WRITING = "Writing"
COMPARING_READ_BACK = "Comparing with the original"


@dataclass(frozen=True)
class ConvertOptions:
    """What the command line says."""

    compress: CompressOptions = field(default_factory=CompressOptions)
    sh_degree: int | None = None
    """SH bands to keep at most; None: all."""
    up: str | None = None
    """A key of `AXES`; None: what the file says, z for models that came with cameras of ours, a guess for others."""
    title: str | None = None
    """Of an HTML page; None: the name of its file."""
    edit: Edit = field(default_factory=Edit)
    """Changes to the model."""
    restore_origin: bool = False
    """Add the origin of a model that was moved near 0 to its positions again. Of a PLY only."""


@dataclass(frozen=True)
class _Written:
    """What writing one file cost."""

    psnr: float | None = None
    """Mean over the views, dB; None where nothing is lost."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """For the result, of a SOG."""


def convert(source: Path, target: Path, options: ConvertOptions, progress: Progress) -> dict[str, Any]:
    """Read `source` and write `target`, whole or not at all.

    Returns:
        The formats, numbers of Gaussians and bytes of both; the PSNR in dB, None where nothing is lost; what was left
        out, in words; `notes`, sentences on what was made up; and of a SOG also `missed`, `attribute_bytes` and
        `attribute_psnr` as in its report.

    Raises:
        ValueError: a sentence on what is wrong with the file, or why it cannot be written like that.
        OSError: a file cannot be read or written.
    """
    form = format_of(target)
    if options.restore_origin and form is not PLY:
        raise BrokenFile(f"Only a PLY has the digits for positions far from 0; {form.name} keeps them near it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    progress.update(0.0, f"Reading {source.name}")
    model, source_form = read_model(source)
    model = _with_known_up(model, source, options)
    before, notes = len(model), list(model.notes)
    model, changes = apply(options.edit, model, progress)
    up = _Up(model.frame.up or html.likely_up(model), is_guess=model.frame.up is None)
    lost, notes = list[str](), [*notes, *changes, *up.notes(form)]
    if options.sh_degree is not None and options.sh_degree < model.sh_degree:
        lost.append(f"SH bands above {options.sh_degree}, as asked for")
        model = _with_bands(model, options.sh_degree)
    kept, dropped = (model, {}) if form.exact else sanitise(model)
    if not len(kept):
        raise BrokenFile(f"{source.name} holds no Gaussian that can be shown.")
    lost += [f"{number:,} Gaussian{'s' * (number > 1)} ({reason})" for reason, number in dropped.items()]
    if _used_bands(kept) and not form.sh_bands:
        lost.append(f"SH bands: {form.name} has no room for them")
    if kept.antialiased and not form.antialiased:
        lost.append(f"that it must be drawn antialiased: {form.name} has no room for it")
    if any(kept.frame.origin) and not form.origin:
        lost.append(f"the origin at {_coordinates(kept.frame.origin)}: {form.name} has no room for it")
    elif any(kept.frame.origin) and not options.restore_origin:
        notes.append(f"0 is at {_coordinates(kept.frame.origin)} of the source's coordinates; the file says so.")
    written = _write(source, target, kept, up.axis, options, lost, progress)
    progress.update(1.0, WRITING)
    return {
        "from": source_form.name,
        "to": form.name,
        "gaussians": [before, len(kept)],
        "bytes": [bytes_of(source), bytes_of(target)],
        "psnr": written.psnr,
        "lost": lost,
        "notes": notes,
        **written.figures,
    }


@dataclass(frozen=True)
class _Up:
    """Which way is up."""

    axis: Vec3
    is_guess: bool

    def notes(self, form: Format) -> list[str]:
        """That it is a guess, where the written file depends on it."""
        if not self.is_guess or form not in (GLB, GLTF, HTML):
            return []
        guess = f"Nothing says which way is up; {axis_name(self.axis)} is a guess."
        return [f"{guess} If the model lies wrong, add --up z or another axis."]


def _with_known_up(model: Gaussians, source: Path, options: ConvertOptions) -> Gaussians:
    """The model with what is known of its up."""
    known = AXES[options.up] if options.up else model.frame.up
    if known is None and (source.parent / CAMERAS).is_file():
        known = AXES["z"]
    return replace(model, frame=replace(model.frame, up=known))


def _cameras(source: Path, model: Gaussians, *, is_moved: bool) -> list[Camera]:
    """Those beside the source; none where the model was moved, since they were not."""
    path = source.parent / CAMERAS
    return read_cameras(path) if path.is_file() and not any(model.frame.origin) and not is_moved else []


def _coordinates(point: Vec3) -> str:
    return " ".join(f"{part:.12g}" for part in point)


def _write(
    source: Path, target: Path, model: Gaussians, up: Vec3, options: ConvertOptions, lost: list[str], progress: Progress
) -> _Written:
    """Write the model, and add to `lost` what the format leaves out."""
    form = format_of(target)
    if form in (GLB, GLTF):
        progress.update(0.5, WRITING)
        gltf.write(target, model, up)
        return _Written()
    if form in (SOG, SOG_FOLDER, STREAMED_SOG, HTML):
        return _write_sog(
            target, form, model, _cameras(source, model, is_moved=options.edit.moves), up, options, lost, progress
        )
    if form.write is None or form.read is None:
        raise BrokenFile(f"{form.name} is read here, but not written.")
    progress.update(0.3, WRITING)
    if form is PLY:
        write_ply(target, model, at_origin=not options.restore_origin)
        return _Written()
    form.write(target, model)
    progress.update(0.6, COMPARING_READ_BACK)
    selected = select_cameras(_cameras(source, model, is_moved=options.edit.moves))
    return _Written(Prover(model, selected or ring_cameras(model), progress).compare(form.read(target)).mean)


def _write_sog(
    target: Path,
    form: Format,
    model: Gaussians,
    cameras: list[Camera],
    up: Vec3,
    options: ConvertOptions,
    lost: list[str],
    progress: Progress,
) -> _Written:
    """Write a SOG of any form, or a page with one."""
    if form in (SOG_FOLDER, STREAMED_SOG):
        target = _own_folder(target)
    compressed = compress(model, cameras, options.compress, progress)
    if compressed.rejection:
        raise BrokenFile(f"Nothing is written, since no file was good enough: {compressed.rejection}.")
    psnr = compressed.proof.mean
    files = compressed.encoded.files
    if form is STREAMED_SOG:
        psnr = _write_streamed(target, compressed, options.compress, Share(progress, 0.95, 1))
    elif form is SOG:
        write_atomic(target, compressed.bundle)
    elif form is SOG_FOLDER:
        with replacing_folder(target) as folder:
            write_folder(folder, files)
    else:
        html.write(target, files, html.first_view(model, up, cameras), options.title or target.stem)
    bands = compressed.encoded.figures["sh_bands"]
    if bands < _used_bands(model):
        lost.append(f"SH bands above {bands}, which this quality does without")
    figures = {
        "missed": missed_target(compressed),
        "attribute_bytes": bytes_by_attribute(compressed),
        "attribute_psnr": compressed.attribute_psnr,
    }
    return _Written(psnr, figures)


def _write_streamed(target: Path, compressed: Compressed, options: CompressOptions, progress: Progress) -> float:
    """Write levels of detail. Returns the PSNR of the finest, dB."""
    with replacing_folder(target) as folder:
        figures = write_lod(folder, compressed, options, progress)
        if "lod_missed" in figures:
            raise BrokenFile(figures["lod_missed"])
    return float(figures["lod_psnr"])


def _used_bands(model: Gaussians) -> int:
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


def _with_bands(model: Gaussians, degree: int) -> Gaussians:
    return replace(model, shN=model.shN[:, : SHN_SIZES[degree]])


def main(command_line: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.compress.convert", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--options", default="{}", help="CompressOptions as JSON")
    parser.add_argument("--sh-degree", type=int, choices=range(4))
    parser.add_argument("--up", choices=AXES)
    parser.add_argument("--title")
    parser.add_argument("--edit", default="{}", help="services.compress.editing.Edit as JSON")
    parser.add_argument("--restore-origin", action="store_true")
    arguments = parser.parse_args(command_line)

    def work(progress: JsonLinesProgress) -> dict[str, Any]:
        compress_options = CompressOptions.model_validate_json(arguments.options)
        options = ConvertOptions(
            compress=compress_options,
            sh_degree=arguments.sh_degree,
            up=arguments.up,
            title=arguments.title,
            edit=Edit.model_validate_json(arguments.edit),
            restore_origin=arguments.restore_origin,
        )
        return convert(arguments.source, arguments.target, options, progress)

    return run_with_json_lines(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

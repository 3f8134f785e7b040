"""`python -m services.compress.convert IN OUT`: a model from any format to any other, and what that cost.

SOG and the HTML page are compressed by the options and proven as those of a job are. Every other lossy file is read
back and rendered beside its source.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from services.compress.editing import Edit, apply
from services.compress.json_lines import JsonLinesProgress, run_with_json_lines
from services.compress.proving.flown import choose_views
from services.compress.proving.proof import Prover
from services.compress.sog_output import (
    Files,
    SogTarget,
    Written,
    kinds_of,
    used_bands,
    write_as_it_is,
    write_sog,
)
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.edit import turn_upright
from spaceport.splats.formats import gltf, html
from spaceport.splats.formats.limits import BrokenFile, bytes_of
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.formats.table import (
    GLB,
    GLTF,
    HTML,
    PLY,
    SOG,
    SOG_FOLDER,
    SPZ,
    STREAMED_SOG,
    Format,
    format_of,
    read_model,
)
from spaceport.splats.frame import AXES, Vec3, axis_name
from spaceport.splats.model import Gaussians
from spaceport.splats.scratch import take
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.codec.reader import read_files
from spaceport.splats.sog.codec.sanitise import sanitise

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


def convert(source: Path, target: Path, options: ConvertOptions, progress: Progress) -> dict[str, Any]:
    """Read `source` and write `target`, whole or not at all.

    Returns:
        The formats, numbers of Gaussians and bytes of both; the PSNR in dB, None where nothing is lost, and `kinds`,
        the same by where the views look from; what was left out, in words; `notes`, sentences on what was made up; and
        of a SOG also `missed`, `attribute_bytes` and `attribute_psnr` as in its report, of a streamed one what begins
        with `lod_`, too.

    Raises:
        ValueError: a sentence on what is wrong with the file, or why it cannot be written like that.
        OSError: a file cannot be read or written.
    """
    form = format_of(target)
    if options.restore_origin and form is not PLY:
        raise BrokenFile(f"Only a PLY has the digits for positions far from 0; {form.name} keeps them near it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    progress.update(0.0, f"Reading {source.name}")
    stored, source_form = read_model(source, target.parent)
    model = _with_known_up(stored, source, options)
    before, notes = len(model), list(model.notes)
    model, changes = apply(options.edit, model, progress)
    up = _Up(model.frame.up or html.likely_up(model), is_guess=model.frame.up is None)
    notes += [*changes, *up.notes(form)]
    kept, lost = _storable(model, form, options)
    if not len(kept):
        raise BrokenFile(f"{source.name} holds no Gaussian that can be shown.")
    if any(kept.frame.origin) and form.origin and not options.restore_origin:
        notes.append(f"0 is at {_coordinates(kept.frame.origin)} of the source's coordinates; the file says so.")
    if form is SPZ and up.is_other_than_y:
        notes.append(
            f"Viewers of SPZ take y for up: the model was turned, so that its {axis_name(up.axis)} is y there."
        )
    as_stored = _unchanged(source, stored, kept, form, options)
    written = _write(source, target, kept, up.axis, options, as_stored, progress)
    progress.update(1.0, WRITING)
    return {
        "from": source_form.name,
        "to": form.name,
        "gaussians": [before, len(kept)],
        "bytes": [bytes_of(source), bytes_of(target)],
        "psnr": written.psnr,
        "kinds": {},
        "lost": [*lost, *written.lost],
        "notes": notes,
        **written.figures,
    }


def _storable(model: Gaussians, form: Format, options: ConvertOptions) -> tuple[Gaussians, list[str]]:
    """What of a model the format has room for, and what it has not, in words."""
    lost: list[str] = []
    if options.sh_degree is not None and options.sh_degree < model.sh_degree:
        lost.append(f"SH bands above {options.sh_degree}, as asked for")
        model = _with_bands(model, options.sh_degree)
    kept, dropped = (model, {}) if form.exact else sanitise(model)
    lost += [f"{number:,} Gaussian{'s' * (number > 1)} ({reason})" for reason, number in dropped.items()]
    if used_bands(kept) and not form.sh_bands:
        lost.append(f"SH bands: {form.name} has no room for them")
    if kept.antialiased and not form.antialiased:
        lost.append(f"that it must be drawn antialiased: {form.name} has no room for it")
    if any(kept.frame.origin) and not form.origin:
        lost.append(f"the origin at {_coordinates(kept.frame.origin)}: {form.name} has no room for it")
    return kept, lost


@dataclass(frozen=True)
class _Up:
    """Which way is up."""

    axis: Vec3
    is_guess: bool

    @property
    def is_other_than_y(self) -> bool:
        return not self.is_guess and self.axis != AXES["y"]

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
    source: Path,
    target: Path,
    model: Gaussians,
    up: Vec3,
    options: ConvertOptions,
    as_stored: Files | None,
    progress: Progress,
) -> Written:
    """Write the model as its name says, and read a lossy file back. `as_stored`: a SOG's files that stay."""
    form = format_of(target)
    if form in (GLB, GLTF):
        progress.update(0.5, WRITING)
        gltf.write(target, model, up)
        return Written()
    cameras = _cameras(source, model, is_moved=options.edit.moves)
    if form in (SOG, SOG_FOLDER, STREAMED_SOG, HTML):
        sog = SogTarget(target, form, up, options.title or target.stem)
        if as_stored is not None:
            return write_as_it_is(sog, as_stored, model)
        return write_sog(sog, model, cameras, options.compress, progress)
    if form.write is None or form.read is None:
        raise BrokenFile(f"{form.name} is read here, but not written.")
    progress.update(0.3, WRITING)
    if form is SPZ:
        model, cameras = turn_upright(model, cameras)
    if form is PLY:
        write_ply(target, model, at_origin=not options.restore_origin)
        return Written()
    form.write(target, model)
    progress.update(0.6, COMPARING_READ_BACK)
    proof = Prover(model, choose_views(model, cameras), progress).compare(form.read(target))
    return Written(proof.mean, figures={"kinds": kinds_of(proof)})


def _unchanged(
    source: Path, stored: Gaussians, model: Gaussians, form: Format, options: ConvertOptions
) -> Files | None:
    """The files of the source, where it is a SOG of today's version that nobody asked to change; None otherwise."""
    if form not in (SOG, SOG_FOLDER, HTML) or options.compress != CompressOptions():
        return None
    files = read_files(source)
    same = (form is HTML or stored.frame == model.frame) and all(
        np.array_equal(array, stored.arrays()[name]) for name, array in model.arrays().items()
    )
    return files if same else None


def _with_bands(model: Gaussians, degree: int) -> Gaussians:
    return replace(model, shN=take(model.shN, slice(None), slice(SHN_SIZES[degree])))


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

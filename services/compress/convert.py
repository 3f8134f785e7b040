"""`python -m services.compress.convert IN OUT`: a model from any format to any other, and what that cost.

SOG and the HTML page go through the stage, so they are chosen by its options and proven like a job's own. Every other
lossy file is read back and rendered beside its source.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.compress import stage
from services.compress.command import Lines, report
from services.compress.proving import views
from services.compress.proving.proof import Prover
from spaceport.files import replacing_folder, write_atomic
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.formats import gltf, html
from spaceport.splats.formats.bounds import UNBUNDLED, BrokenFile, bytes_of
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.formats.table import GLB, GLTF, HTML, SOG, SOG_FOLDER, STREAMED_SOG, Format, format_of, read_model
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import SHN_SIZES, degree_of_size
from spaceport.splats.sog.codec.sanitise import sanitise
from spaceport.splats.sog.codec.writer import write_folder
from spaceport.splats.sog.lod import writer as lod
from spaceport.splats.sog.lod.reader import META as LOD_META
from spaceport.splats.sog.palette.palette import used_coefficients

CAMERAS = "cameras.json"
UPS: dict[str, html.Three] = {
    **{"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)},
    **{"-x": (-1, 0, 0), "-y": (0, -1, 0), "-z": (0, 0, -1)},
}
TOLD = ("missed", "attribute_bytes", "attribute_psnr")  # of a SOG's report, what a person is told too
WRITING, CHECKING = "Writing", "Comparing with the original"


@dataclass(frozen=True)
class Wish:
    """What the person asked for. `up` None: z for models that came with cameras of ours, guessed for others."""

    options: CompressOptions = field(default_factory=CompressOptions)
    sh_degree: int | None = None
    up: str | None = None
    title: str | None = None


def convert(source: Path, target: Path, wish: Wish, progress: Progress) -> dict[str, Any]:
    """Read `source`, write `target` whole or not at all, and tell sizes, likeness and what was lost.

    Raises:
        ValueError: a sentence on what is wrong with the file, or why it cannot be written so.
        OSError: a file cannot be read or written.
    """
    form = format_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    progress.update(0.0, f"Reading {source.name}")
    model, was = read_model(source)
    before, lost = len(model), []
    if wish.sh_degree is not None and wish.sh_degree < model.sh_degree:
        lost.append(f"SH bands above {wish.sh_degree}, as asked for")
        model = _with_bands(model, wish.sh_degree)
    kept, dropped = (model, {}) if form.exact else sanitise(model)
    if not len(kept):
        raise BrokenFile(f"{source.name} holds no Gaussian that can be shown.")
    lost += [f"{number:,} Gaussian{'s' * (number > 1)} ({reason})" for reason, number in dropped.items()]
    if _bands_in_use(kept) and not form.sh_bands:
        lost.append(f"SH bands: {form.name} has no room for them")
    if kept.antialiased and not form.antialiased:
        lost.append(f"that it must be drawn antialiased: {form.name} has no room for it")
    told = _write(source, target, kept, wish, lost, progress)
    progress.update(1.0, WRITING)
    return {
        "from": was.name,
        "to": form.name,
        "gaussians": [before, len(kept)],
        "bytes": [bytes_of(source), bytes_of(target)],
        "psnr": told["sog_psnr"],
        "lost": lost,
        **{name: told[name] for name in TOLD if name in told},
    }


def _write(
    source: Path, target: Path, model: Gaussians, wish: Wish, lost: list[str], progress: Progress
) -> dict[str, Any]:
    """Write the model, and return `sog_psnr`, None where nothing is lost, and for a SOG the rest of its report."""
    form = format_of(target)
    beside = source.parent / CAMERAS
    up = UPS[wish.up] if wish.up else UPS["z"] if beside.is_file() else html.likely_up(model)
    if form in (GLB, GLTF):
        progress.update(0.5, WRITING)
        gltf.write(target, model, up)
        return {"sog_psnr": None}
    if form in (SOG, SOG_FOLDER, STREAMED_SOG, HTML):
        told = _through_the_stage(target, form, model, beside, up, wish, progress)
        if told["sh_bands"] < _bands_in_use(model):
            lost.append(f"SH bands above {told['sh_bands']}, which this quality does without")
        return told
    if form.write is None or form.read is None:
        raise BrokenFile(f"{form.name} is read here, but not written.")
    progress.update(0.3, WRITING)
    form.write(target, model)
    if form.exact:
        return {"sog_psnr": None}
    progress.update(0.6, CHECKING)
    return {"sog_psnr": Prover(model, _cameras(beside, model), progress).compare(form.read(target)).mean}


def _through_the_stage(
    target: Path, form: Format, model: Gaussians, beside: Path, up: html.Three, wish: Wish, progress: Progress
) -> dict[str, Any]:
    """Write a SOG, or a page with one, and return the stage's report."""
    if form in (SOG_FOLDER, STREAMED_SOG):
        target = _own_folder(target)
    options = wish.options.model_copy(update={"lod": "always" if form is STREAMED_SOG else "never"})
    with tempfile.TemporaryDirectory(prefix="convert-") as name:
        work = Path(name)
        (work / "gaussian").mkdir()
        write_ply(work / "gaussian" / "model.ply", model)
        if beside.is_file():
            shutil.copy(beside, work / "gaussian" / CAMERAS)
        made = work / "compressed"
        outcome = stage.run(work, work, options, progress)
        if outcome.degraded and not made.is_dir():
            raise BrokenFile(outcome.degraded.sentence)
        told: dict[str, Any] = json.loads((made / "report.json").read_bytes())
        if told["why_not"]:
            raise BrokenFile(f"Nothing is written, since no file was good enough: {told['why_not']}.")
        if form is STREAMED_SOG:
            return told | {"sog_psnr": _put_levels(target, made / lod.FOLDER, told)}
        files = {path: (made / path).read_bytes() for path in [*told["file_bytes"]]}
        if form is SOG:
            write_atomic(target, (made / "model.sog").read_bytes())
        elif form is SOG_FOLDER:
            with replacing_folder(target) as folder:
                write_folder(folder, files)
        else:
            cameras = read_cameras(beside) if beside.is_file() else []
            html.write(target, files, html.first_view(model, up, cameras), wish.title or target.stem)
    return told


def _put_levels(target: Path, made: Path, told: dict[str, Any]) -> float:
    """Put the levels of detail where they belong. Returns the PSNR of the finest."""
    if "lod_missed" in told:
        raise BrokenFile(told["lod_missed"])
    with replacing_folder(target) as folder:
        shutil.copytree(made, folder, dirs_exist_ok=True)
    return float(told["lod_psnr"])


def _bands_in_use(model: Gaussians) -> int:
    """SH bands without those above that are all zero."""
    return degree_of_size(used_coefficients(model.shN))


def _own_folder(target: Path) -> Path:
    """The folder of an unbundled set, which replaces it as a whole: so it may hold another set, but nothing else."""
    folder = (target if target.is_dir() or not target.suffix else target.parent).resolve()
    streamed = (folder / LOD_META).is_file()
    if folder.exists() and not (
        folder.is_dir() and all(each.suffix in UNBUNDLED or (streamed and _is_set(each)) for each in folder.iterdir())
    ):
        raise BrokenFile(f"{folder} holds other things. An unbundled SOG wants a folder of its own.")
    if Path.cwd().is_relative_to(folder):
        raise BrokenFile("An unbundled SOG takes the place of its folder, and you are in it. Name another one.")
    return folder


def _is_set(folder: Path) -> bool:
    """Whether a folder in a streamed SOG is one of its sets."""
    return re.fullmatch(r"\d+_\d+", folder.name) is not None and folder.is_dir()


def _cameras(path: Path, model: Gaussians) -> list[Camera]:
    return (views.chosen(read_cameras(path)) if path.is_file() else []) or views.ring(model)


def _with_bands(model: Gaussians, degree: int) -> Gaussians:
    return replace(model, shN=model.shN[:, : SHN_SIZES[degree]])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.compress.convert", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--options", default="{}", help="CompressOptions as JSON")
    parser.add_argument("--sh-degree", type=int, choices=range(4))
    parser.add_argument("--up", choices=UPS)
    parser.add_argument("--title")
    told = parser.parse_args(arguments)

    def work(progress: Lines) -> dict[str, Any]:
        wish = Wish(CompressOptions.model_validate_json(told.options), told.sh_degree, told.up, told.title)
        return convert(told.source, told.target, wish, progress)

    return report(work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

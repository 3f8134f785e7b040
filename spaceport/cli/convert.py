"""`spaceport convert IN OUT`: one model file into another, summarised in one line."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from spaceport.cli.analytics import bytes_table
from spaceport.cli.child import ChildFailed, run_child
from spaceport.cli.console import console, error_console
from spaceport.pipeline.options import CompressPreset

PresetOption = Annotated[
    CompressPreset | None,
    typer.Option(help="How well a SOG must match: web 42 dB, balanced 45 dB (default), archive 50 dB."),
]
TargetOption = Annotated[
    float | None, typer.Option(min=1, max=100, help="Make the smallest SOG that matches this well, in dB of PSNR.")
]
BytesOption = Annotated[
    int | None, typer.Option(min=1000, help="Make no larger SOG; without --target-psnr the best one of that size.")
]


class Axis(StrEnum):
    """Which way is up."""

    X, Y, Z = "x", "y", "z"
    MINUS_X, MINUS_Y, MINUS_Z = "-x", "-y", "-z"


def convert(  # noqa: PLR0913  an argument an option
    source: Annotated[Path, typer.Argument(metavar="IN", help="The model.", exists=True)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; its name gives the format.")],
    *,
    preset: PresetOption = None,
    target_psnr: TargetOption = None,
    max_bytes: BytesOption = None,
    sh_degree: Annotated[int | None, typer.Option(min=0, max=3, help="Drop SH bands above this.")] = None,
    up: Annotated[
        Axis | None,
        typer.Option(help="Up axis; default: what IN says, z beside a cameras.json, else a guess, which is printed."),
    ] = None,
    merge: Annotated[
        list[Path] | None, typer.Option(help="Add the Gaussians of another model; may be repeated.", exists=True)
    ] = None,
    rotate: Annotated[
        str | None, typer.Option(metavar="X,Y,Z", help="Turn by degrees about x, then y, then z.")
    ] = None,
    scale: Annotated[float | None, typer.Option(min=1e-6, max=1e6, help="Enlarge so many times.")] = None,
    move: Annotated[str | None, typer.Option(metavar="X,Y,Z", help="Move by so many units.")] = None,
    crop: Annotated[
        str | None,
        typer.Option(metavar="X,Y,Z,X,Y,Z", help="Keep what lies in the box between two corners, the lower one first."),
    ] = None,
    decimate: Annotated[
        str | None,
        typer.Option(metavar="N|P%", help="Merge Gaussians until N, or P percent, are left, at the least loss."),
    ] = None,
    restore_origin: Annotated[
        bool,
        typer.Option(
            "--restore-origin", help="Write positions far from 0, which were moved near it, as they were (.ply)."
        ),
    ] = False,
    title: Annotated[str | None, typer.Option(help="The title of an .html page; default: the file name.")] = None,
) -> None:
    """Turn a model into another format: `spaceport convert model.ply model.html`.

    IN is recognised by its content, OUT by its name:

    - `.ply`: lossless; opens everywhere
    - `.sog`: the smallest, for the web; a folder or `meta.json` writes the same unbundled
    - `lod-meta.json`, in a folder of its own: for large scenes, streamed in levels of detail; read at the finest level
    - `.html`: a page that contains the model and a viewer; opens with a double click, without a network
    - `.spz`, `.compressed.ply`, `.splat`: for other viewers
    - `.glb`, `.gltf`: glTF with KHR_gaussian_splatting

    Lossy files are read back and compared with IN: from an orbit, from near, from above and from inside, or from the
    cameras in a cameras.json beside IN and between and below them. The line at the end gives the PSNR, mean and worst
    of each, and what was left out. The presets and targets apply to SOG and HTML.

    The model may be changed on its way, always in this order: merge, rotate, scale, move, crop, decimate.
    """
    options = compress_options(preset, target_psnr, max_bytes)
    arguments = [str(source), str(target), f"--options={json.dumps(options)}"]
    flags = {"sh-degree": sh_degree, "up": up, "title": title}
    arguments += [f"--{name}={value}" for name, value in flags.items() if value is not None]
    arguments += ["--restore-origin"] * restore_origin
    edit = edit_of(merge or [], decimate, rotate=rotate, move=move, crop=crop) | ({"scale": scale} if scale else {})
    arguments += [f"--edit={json.dumps(edit)}"]
    try:
        report = run_child("services.compress.convert", arguments, console)
    except ChildFailed as error:
        error_console.print(str(error), style="red")
        raise typer.Exit(1) from None
    console.print(describe_result(source.name, target.name, report), soft_wrap=True)
    if report["to"] == "SOG" and report["attribute_bytes"]:
        console.print(bytes_table(report["attribute_bytes"], report["attribute_psnr"], report["psnr"]))


def edit_of(merge: list[Path], decimate: str | None, **vectors: str | None) -> dict[str, Any]:
    """The changes to a model as `services.compress.editing.Edit` takes them.

    Raises:
        typer.BadParameter: what was typed is no number, or not as many as there must be.
    """
    edit: dict[str, Any] = {"merge": [str(path) for path in merge]}
    for name, text in vectors.items():
        if text is not None:
            edit[name] = _numbers(name, text, 6 if name == "crop" else 3)
    if decimate is not None:
        number = _numbers("decimate", decimate.removesuffix("%"), 1)[0]
        edit["decimate_percent" if decimate.endswith("%") else "decimate"] = number
    return edit


def _numbers(name: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise typer.BadParameter(f"needs {count} number{'s' * (count > 1)}, parted by commas", param_hint=f"--{name}")
    return numbers


def compress_options(
    preset: CompressPreset | None, target_psnr: float | None, max_bytes: int | None
) -> dict[str, str | float | int]:
    """Those of the options that were set on the command line."""
    options = {"preset": preset, "target_psnr": target_psnr, "max_bytes": max_bytes}
    return {name: value for name, value in options.items() if value is not None}


def describe_result(source: str, target: str, report: dict[str, Any]) -> str:
    """A conversion's report in one line."""
    before, after = report["bytes"]
    change = f"{before / after:.1f} times smaller" if before > after else f"{after / before:.1f} times larger"
    notes = [*report["notes"], report.get("missed"), describe_levels(report)]
    alike = f", {report['psnr']:.1f} dB against the original" if report["psnr"] is not None else ""
    if report["psnr"] is None and not report["notes"]:
        alike = ", nothing rounded"
    alike += describe_kinds(report["kinds"])
    lost = f" Left out: {'; '.join(report['lost'])}." if report["lost"] else ""
    return (
        f"{source} ({report['from']}, {_size(before)}) → {target} ({report['to']}, {_size(after)}): "
        f"{report['gaussians'][1]:,} Gaussians, {change}{alike}.{lost}" + "".join(f" {note}" for note in notes if note)
    )


def describe_levels(report: dict[str, Any]) -> str | None:
    """What the levels of detail of a streamed SOG hold and took; None of any other file."""
    if "lod_levels" not in report:
        return None
    counts = ", ".join(f"{count:,}" for count in report["lod_counts"])
    sizes = ", ".join(map(_size, report["lod_bytes"]))
    places = "1 leaf" if report["lod_leaves"] == 1 else f"{report['lod_leaves']:,} leaves"
    return (
        f"{report['lod_levels']} levels of {counts} Gaussians ({sizes}) in {places}, made in"
        f" {report['lod_seconds']:.0f} s."
    )


def describe_kinds(kinds: dict[str, dict[str, float]]) -> str:
    """The PSNR by where views look from: ` (orbit 46.1; near 44.2, at worst 43.0)`; nothing without any."""
    parts = []
    for kind, psnr in kinds.items():
        mean, worst = f"{psnr['mean']:.1f}", f"{psnr['worst']:.1f}"
        parts.append(f"{kind} {mean}" + f", at worst {worst}" * (worst != mean))
    return f" ({'; '.join(parts)})" if parts else ""


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"

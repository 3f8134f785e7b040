"""`spaceport convert IN OUT`: one model file into another, told in one line."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from spaceport.cli.analytics import bytes_table
from spaceport.cli.child import ChildFailed, run_child
from spaceport.pipeline.options import CompressPreset

console = Console(highlight=False, soft_wrap=True)
complaints = Console(stderr=True, highlight=False, soft_wrap=True)

PresetOption = Annotated[
    CompressPreset | None,
    typer.Option(help="How alike a SOG must look: web 42 dB, balanced 45 dB (default), archive 50 dB."),
]
TargetOption = Annotated[
    float | None, typer.Option(min=1, max=100, help="The smallest SOG that looks this alike, in dB of PSNR.")
]
BytesOption = Annotated[
    int | None, typer.Option(min=1000, help="No larger SOG; without --target-psnr the best one of that size.")
]


class Axis(StrEnum):
    """Which way is up."""

    X, Y, Z = "x", "y", "z"
    MINUS_X, MINUS_Y, MINUS_Z = "-x", "-y", "-z"


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The model.", exists=True)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write; its name tells the format.")],
    preset: PresetOption = None,
    target_psnr: TargetOption = None,
    max_bytes: BytesOption = None,
    sh_degree: Annotated[int | None, typer.Option(min=0, max=3, help="Leave out SH bands above this.")] = None,
    up: Annotated[
        Axis | None,
        typer.Option(
            help="The model's upward axis, for .glb, .gltf and .html; default: z beside a cameras.json, else guessed."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="The title of an .html page; default: its name.")] = None,
) -> None:
    """Turn a model into another format: `spaceport convert model.ply model.html`.

    IN is recognised by what it holds, OUT by its name:

    - `.ply`: every number as it is; opens everywhere
    - `.sog`: the smallest, for the web; a folder or `meta.json` writes the same unbundled
    - `lod-meta.json`, in a folder of its own: for large scenes, streamed in levels of detail; read as the finest one
    - `.html`: a page with the model and a viewer in it; opens with a double click, without a network
    - `.spz`, `.compressed.ply`, `.splat`: for other viewers
    - `.glb`, `.gltf`: glTF with KHR_gaussian_splatting

    Lossy files are read back and compared with IN from several cameras; the line at the end says how alike they look,
    and what was left out. The presets and targets concern SOG and HTML.
    """
    asked = {"preset": preset, "target_psnr": target_psnr, "max_bytes": max_bytes}
    options = {name: value for name, value in asked.items() if value is not None}
    arguments = [str(source), str(target), f"--options={json.dumps(options)}"]
    more = {"sh-degree": sh_degree, "up": up, "title": title}
    arguments += [f"--{name}={value}" for name, value in more.items() if value is not None]
    try:
        told = run_child("services.compress.convert", arguments, console)
    except ChildFailed as error:
        complaints.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    console.print(sentence(source.name, target.name, told), markup=False)
    if told["to"] == "SOG":
        console.print(bytes_table(told["attribute_bytes"], told["attribute_psnr"], told["psnr"]))


def sentence(source: str, target: str, told: dict[str, Any]) -> str:
    """What came of it, for a person."""
    before, after = told["bytes"]
    change = f"{before / after:.1f} times smaller" if before > after else f"{after / before:.1f} times larger"
    alike = f", {told['psnr']:.1f} dB against the original" if told["psnr"] is not None else ", nothing rounded"
    lost = f" Left out: {'; '.join(told['lost'])}." if told["lost"] else ""
    missed = f" {told['missed']}" if told.get("missed") else ""
    return (
        f"{source} ({told['from']}, {_size(before)}) → {target} ({told['to']}, {_size(after)}): "
        f"{told['gaussians'][1]:,} Gaussians, {change}{alike}.{lost}{missed}"
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"

"""`spaceport compress A.ply B.ply`: several models into SOG side by side, and where their bytes went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from spaceport.cli import concurrency
from spaceport.cli.analytics import bytes_table
from spaceport.cli.child import ChildFailed, Children
from spaceport.cli.convert import BytesOption, PresetOption, TargetOption, complaints, console, sentence
from spaceport.cli.many import Bars, Lines
from spaceport.simd.cores import usable_cores

MODULE = "services.compress.convert"
METAS = ("meta.json", "lod-meta.json")  # of unbundled and of streamed SOGs, which are known by their folders


@dataclass(frozen=True)
class Work:
    """One model, and the file to be made of it."""

    source: Path
    target: Path


def compress(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help="The models, of any format.", exists=True)],
    out: Annotated[Path | None, typer.Option(help="Folder for the files; default: each beside its model.")] = None,
    preset: PresetOption = None,
    target_psnr: TargetOption = None,
    max_bytes: BytesOption = None,
) -> None:
    """Compress models to SOG, several at once.

    `spaceport compress *.ply --out web --preset web` writes `web/NAME.sog` for every model. A model is a PLY,
    compressed PLY, SPZ, splat or SOG file, or the folder of an unbundled or streamed SOG.

    As many run side by side as the machine has cores and free memory for. Each file is read back and rendered beside
    its model before it is written; a `cameras.json` beside the model, as jobs leave it, says from where.

    At the end a table for each model tells where its bytes go, and how alike the model would look if nothing but that
    attribute were rounded: the lowest of these dB is what limits the file.

    A model that fails does not stop the others. Exit codes: 0 all done, 1 some failed, 130 stopped by Ctrl-C.
    """
    try:
        works = planned(models, out)
    except ValueError as error:
        complaints.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    asked = {"preset": preset, "target_psnr": target_psnr, "max_bytes": max_bytes}
    options = {name: value for name, value in asked.items() if value is not None}
    needs = [concurrency.memory_of(work.source.name, size_of(work.source)) for work in works]
    workers = concurrency.at_once(needs, concurrency.free_memory(), usable_cores())
    try:
        told = _run(works, options, workers)
    except KeyboardInterrupt:
        complaints.print("Stopped. The files of models that were done are kept.")
        raise typer.Exit(130) from None
    raise typer.Exit(_tell(works, told))


def planned(models: Sequence[Path], out: Path | None) -> list[Work]:
    """What is to be written where.

    Raises:
        ValueError: a sentence, if a file would be written twice or over a model.
    """
    works: list[Work] = []
    taken: dict[Path, Path] = {}
    for source in models:
        place = source.resolve().parent if source.name in METAS else source.resolve()
        name = place.name
        for suffix in (place.suffix, ".compressed"):
            name = name.removesuffix(suffix) if place.is_file() else name
        target = (out or (source.parent.parent if source.name in METAS else source.parent)) / f"{name}.sog"
        if target.resolve() == place:
            raise ValueError(f"{source} would be written over itself. Say where else: --out FOLDER.")
        if (other := taken.setdefault(target.resolve(), source)) is not source:
            raise ValueError(f"{other} and {source} would both become {target}.")
        works.append(Work(source, target))
    return works


def size_of(source: Path) -> int:
    """Bytes of a model, of all files of an unbundled or streamed one."""
    folder = source if source.is_dir() else source.parent if source.name in METAS else None
    if folder is None:
        return source.stat().st_size
    return sum(each.stat().st_size for pattern in ("*", "*/*") for each in folder.glob(pattern) if each.is_file())


def _run(works: list[Work], options: dict[str, Any], workers: int) -> list[dict[str, Any] | ChildFailed]:
    """For each work its result or why there is none."""
    names = [str(work.source) for work in works]
    display = Bars(console, names) if console.is_terminal else Lines(console, names)
    children = Children()

    def one(number: int) -> dict[str, Any] | ChildFailed:
        work = works[number]
        arguments = [str(work.source), str(work.target), f"--options={json.dumps(options)}"]
        try:
            result = children.run(MODULE, arguments, partial(display.show, number))
        except ChildFailed as error:
            display.end(number, "stopped" if children.over else "failed")
            return error
        display.end(number, "done")
        return result

    with display, ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(one, range(len(works))))
        except BaseException:
            children.end()
            raise


def _tell(works: list[Work], told: Sequence[dict[str, Any] | ChildFailed]) -> int:
    """Tell what came of each model, and return the exit code."""
    failed = []
    for work, result in zip(works, told, strict=True):
        if isinstance(result, ChildFailed):
            failed.append((work, result))
            continue
        console.print()
        console.print(sentence(str(work.source), str(work.target), result), markup=False)
        console.print(bytes_table(result["attribute_bytes"], result["attribute_psnr"], result["psnr"]))
    if failed:
        console.print()
        for work, error in failed:
            complaints.print(f"{work.source}: {error}", style="red", markup=False)
        complaints.print(f"{len(failed)} of {len(works)} models failed.", style="red")
    return 1 if failed else 0

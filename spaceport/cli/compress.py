"""`spaceport compress A.ply B.ply`: several models into SOG at once, and where their bytes go."""

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
from spaceport.cli.child import ChildFailed, ChildProcesses
from spaceport.cli.console import console, error_console
from spaceport.cli.convert import (
    BytesOption,
    PresetOption,
    TargetOption,
    compress_options,
    describe_result,
)
from spaceport.cli.many import ModelBars, ModelLines
from spaceport.simd.cores import usable_cores

MODULE = "services.compress.convert"
META_FILES = ("meta.json", "lod-meta.json")  # of unbundled and of streamed SOGs, which are named by their folders


@dataclass(frozen=True)
class CompressJob:
    """One model, and the file to make from it."""

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

    As many run at once as the machine has cores and free memory for. Each file is read back, rendered and compared
    with its model before it is written; a `cameras.json` beside the model, as jobs leave it, gives the cameras.

    At the end a table for each model shows where its bytes go, and its PSNR if only that attribute were quantised: the
    lowest of these limits the file.

    A model that fails does not stop the others. Exit codes: 0 all done, 1 some failed, 130 stopped by Ctrl-C.
    """
    try:
        jobs = plan_jobs(models, out)
    except ValueError as error:
        error_console.print(str(error), style="red")
        raise typer.Exit(1) from None
    options = compress_options(preset, target_psnr, max_bytes)
    needs = [concurrency.estimate_memory(job.source, size_of(job.source)) for job in jobs]
    workers = concurrency.max_workers(needs, concurrency.free_memory(), usable_cores())
    try:
        results = _run(jobs, options, workers)
    except KeyboardInterrupt:
        error_console.print("Stopped. The files of models that were done are kept.")
        raise typer.Exit(130) from None
    raise typer.Exit(_report(jobs, results))


def plan_jobs(models: Sequence[Path], out: Path | None) -> list[CompressJob]:
    """A job for each model, with the path of its file.

    Raises:
        ValueError: a sentence, if a file would be written twice or over a model.
    """
    jobs: list[CompressJob] = []
    sources: dict[Path, Path] = {}
    for source in models:
        model = source.resolve().parent if source.name in META_FILES else source.resolve()
        name = model.name
        for suffix in (model.suffix, ".compressed"):
            name = name.removesuffix(suffix) if model.is_file() else name
        target = (out or (source.parent.parent if source.name in META_FILES else source.parent)) / f"{name}.sog"
        if target.resolve() == model:
            raise ValueError(f"{source} would be written over itself. Choose another folder: --out FOLDER.")
        other = sources.setdefault(target.resolve(), source)
        if other is not source:
            raise ValueError(f"{other} and {source} would both become {target}.")
        jobs.append(CompressJob(source, target))
    return jobs


def size_of(source: Path) -> int:
    """Bytes of a model: of all files of an unbundled or streamed one."""
    folder = source if source.is_dir() else source.parent if source.name in META_FILES else None
    if folder is None:
        return source.stat().st_size
    return sum(each.stat().st_size for pattern in ("*", "*/*") for each in folder.glob(pattern) if each.is_file())


def _run(jobs: list[CompressJob], options: dict[str, Any], workers: int) -> list[dict[str, Any] | ChildFailed]:
    """For each job its result, or the reason why there is none."""
    names = [str(job.source) for job in jobs]
    display = ModelBars(console, names) if console.is_terminal else ModelLines(console, names)
    children = ChildProcesses()

    def run_one(number: int) -> dict[str, Any] | ChildFailed:
        job = jobs[number]
        arguments = [str(job.source), str(job.target), f"--options={json.dumps(options)}"]
        try:
            result = children.run(MODULE, arguments, partial(display.show, number))
        except ChildFailed as error:
            display.end(number, "stopped" if children.terminated else "failed")
            return error
        display.end(number, "done")
        return result

    with display, ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(run_one, range(len(jobs))))
        except BaseException:
            children.terminate()
            raise


def _report(jobs: list[CompressJob], results: Sequence[dict[str, Any] | ChildFailed]) -> int:
    """Print the outcome for each model, and return the exit code."""
    failed = []
    for job, result in zip(jobs, results, strict=True):
        if isinstance(result, ChildFailed):
            failed.append((job, result))
            continue
        console.print()
        console.print(describe_result(str(job.source), str(job.target), result), soft_wrap=True)
        console.print(bytes_table(result["attribute_bytes"], result["attribute_psnr"], result["psnr"]))
    if failed:
        console.print()
        for job, error in failed:
            error_console.print(f"{job.source}: {error}", style="red")
        error_console.print(f"{len(failed)} of {len(jobs)} models failed.", style="red")
    return 1 if failed else 0

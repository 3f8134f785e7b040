"""The command line that every service has.

In the cloud `--bucket B --key K` names the manifest that woke the service. Locally `--input DIR --output DIR` runs the
same core on folders, without any cloud.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from pathlib import Path

from spaceport.pipeline.contract import TITLES, Figure
from spaceport.pipeline.errors import Interrupted, LostResource, SpaceportError
from spaceport.pipeline.options import resolve
from spaceport.pipeline.stages.limits import machine_limits
from spaceport.pipeline.stages.stage import DONE, REFUSED, RETRY, Stage


def main(stage: Stage, argv: list[str] | None = None) -> int:
    """Run a service. Returns its exit code: 0 done, 65 refused input, 75 try again, 1 a bug."""
    arguments = _parse_arguments(stage, argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    if arguments.key:
        from spaceport.pipeline.stages.worker import run_from_manifest  # noqa: PLC0415  boto3 is slow to import, and not needed locally

        return run_from_manifest(stage, arguments.bucket, arguments.key)
    return _run_locally(stage, arguments.input, arguments.output, arguments.options)


def _parse_arguments(stage: Stage, argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{stage.name}",
        description=f"The {stage.name} service: --input and --output on this machine, --bucket and --key in the cloud.",
        epilog="Exit codes: 0 done, 65 input refused (never retry), 75 a resource was lost (retry), 1 a bug.",
    )
    parser.add_argument("--input", type=Path, help=stage.reads)
    parser.add_argument("--output", type=Path, help="folder for the output, laid out like jobs/ID/ in the bucket")
    parser.add_argument("--options", type=Path, help="JSON file with options, as `spaceport options` lists them")
    parser.add_argument("--bucket", help="pipeline bucket")
    parser.add_argument("--key", help="key of the manifest that woke this service")
    arguments = parser.parse_args(argv)
    cloud = (arguments.bucket, arguments.key)
    local = (arguments.input, arguments.output)
    if all(cloud) == all(local) or (any(cloud) and any(local)):
        parser.error("give either --input and --output, or --bucket and --key")
    for path in (arguments.input, arguments.options):
        if path is not None and not path.exists():
            parser.error(f"there is no {path}")
    return arguments


def _run_locally(stage: Stage, source: Path, output: Path, options_file: Path | None) -> int:
    progress = _StderrProgress()
    signal.signal(signal.SIGTERM, progress.terminate)
    try:
        options = resolve(json.loads(options_file.read_text()) if options_file else None)
        output.mkdir(parents=True, exist_ok=True)
        with machine_limits(TITLES[stage.name]):
            outcome = stage.run(source, output, stage.options(options), progress)
    except (SpaceportError, Interrupted, KeyboardInterrupt) as error:
        retry = not isinstance(error, SpaceportError) or isinstance(error, LostResource)
        slug = f"{error.slug}: " if isinstance(error, SpaceportError) else ""
        print(f"{slug}{error}" if str(error) else "interrupted", file=sys.stderr)
        return RETRY if retry else REFUSED
    print(outcome.model_dump_json(indent=2, exclude_none=True))
    return DONE


class _StderrProgress:
    """Progress as plain lines on stderr, one for each whole percent.

    After a SIGTERM the next `check` raises `Interrupted`, so a core ends where it can, never in the middle of a step.
    """

    def __init__(self) -> None:
        self._printed = ""
        self._terminated = False

    def terminate(self, *_: object) -> None:
        self._terminated = True

    def update(self, fraction: float, message: str, **counts: Figure) -> None:
        line = f"{fraction:4.0%} {message}"
        if line != self._printed:
            print(line, *(f"{name}={_short(value)}" for name, value in counts.items()), file=sys.stderr, flush=True)
            self._printed = line
        self.check()

    def check(self) -> None:
        if self._terminated:
            raise Interrupted


def _short(value: Figure) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

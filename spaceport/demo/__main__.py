"""`python -m spaceport.demo --out DIR`: write the demo survey."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from spaceport.demo.survey import make_survey


def main() -> int:
    """Make a survey, a line per photo on standard error, and say where the files are."""
    parser = argparse.ArgumentParser(prog="python -m spaceport.demo", description="Write survey.zip and truth.json.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files; made if need be")
    parser.add_argument("--photos", type=int, default=30)
    parser.add_argument("--width", type=int, default=1024, help="pixels; the height is three quarters of it")
    parser.add_argument("--seed", type=int, default=7, help="changes relief, trees and wind; the buildings stay")
    arguments = parser.parse_args()
    start = time.monotonic()

    def print_progress(done: int, total: int, name: str) -> None:
        print(f"{done:3d}/{total}  {name}  {time.monotonic() - start:5.1f} s", file=sys.stderr, flush=True)

    try:
        survey = make_survey(
            arguments.out, arguments.photos, arguments.width, arguments.width * 3 // 4, arguments.seed, print_progress
        )
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"photos: {survey.zip_path}\ntruth:  {survey.truth_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

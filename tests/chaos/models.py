"""Reads damaged model files with the readers of `spaceport convert`: `python tests/chaos/models.py SEED SHARE`.

Prints a line for each file: `ok`, or what was wrong with how it was read.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from corpus import model_files
from fuzz_targets import targets


def main(seed: int, share: float) -> None:
    readers = targets()
    with tempfile.TemporaryDirectory() as folder:
        for reader, data in model_files(seed, share):
            try:
                readers[reader].check(data, Path(folder))
            except Exception as error:
                print(f"{reader}: {error!r} for {len(data)} bytes", flush=True)
            else:
                print("ok", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))

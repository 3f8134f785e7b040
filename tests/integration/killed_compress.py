"""Compresses two models in turn into one folder until it is killed: `killed_compress.py ONE OTHER OUTPUT`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from services.compress.stage import run
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Silent

if __name__ == "__main__":
    one, other, output = map(Path, sys.argv[1:])
    options = CompressOptions(lod="always", min_psnr=1.0)
    for source in itertools.cycle((one, other)):
        run(source, output, options, Silent())
        print(source.name, flush=True)

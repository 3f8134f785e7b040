"""Fuzz all readers of what strangers send with atheris, FUZZ_SECONDS in all (300 without it): `make fuzz`.

    python tests/fuzz/fuzz.py [TARGET ...]

One child process after the other, each with the same share of the time. What crashes, hangs for ten seconds or takes
over 1 GiB more than an idle reader is written into tests/fuzz/corpus/TARGET, where the unit tests replay it for ever.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
CHILD = "--child"
SECONDS_EACH_INPUT = 10
IDLE_MB = 300  # interpreter, numpy, Pillow, faiss and atheris itself
LONGEST_INPUT = 16384


def fuzz_one(name: str, options: list[str]) -> None:
    """Fuzz one target in this process until its time is up; ends the process."""
    import atheris  # noqa: PLC0415 - only where something is fuzzed, not where this module lists what there is

    with atheris.instrument_imports(include=_INSTRUMENTED, exclude=_COMPILED):
        from fuzz_targets import targets  # noqa: PLC0415 - instrumented as it is imported
    target = targets()[name]
    with tempfile.TemporaryDirectory() as folder:

        def one(data: bytes) -> None:
            target.check(data, Path(folder))

        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()


_INSTRUMENTED = [
    "services.compress",
    "services.sfm.photos",
    "spaceport.pipeline.uploads",
    "spaceport.splats.formats.colmap",
    "spaceport.splats.formats.cursor",
    "spaceport.splats",
]
_COMPILED = [
    "spaceport.splats.render",
    "spaceport.splats.sog.plas",
    "spaceport.splats.sog.attributes.codebook",
    "spaceport.splats.sog.palette.growth",
    "spaceport.splats.sog.attributes.rotations",
    "spaceport.splats.sog.codec.walk",
    "spaceport.splats.sog.lod.merge",
]  # numba wants its bytecode as it was


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target in a child. True when nothing failed."""
    home = CORPUS / name
    with tempfile.TemporaryDirectory() as fresh:
        options = [
            fresh,
            str(home),
            f"-max_total_time={seconds}",
            f"-timeout={SECONDS_EACH_INPUT}",
            f"-rss_limit_mb={1024 + IDLE_MB}",
            f"-max_len={LONGEST_INPUT}",
            f"-artifact_prefix={home}/",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        return subprocess.run([sys.executable, __file__, CHILD, name, *options], cwd=ROOT, check=False).returncode == 0


def main(arguments: list[str]) -> int:
    if arguments[:1] == [CHILD]:
        fuzz_one(arguments[1], arguments[2:])
    names = arguments or sorted(path.name for path in CORPUS.iterdir())
    seconds = int(os.environ.get("FUZZ_SECONDS", "300")) // len(names)
    failed = []
    for name in names:
        print(f"== {name}: {seconds} s", flush=True)
        if not fuzz(name, seconds):
            failed.append(name)
    print(f"failures in: {', '.join(failed)}" if failed else "no failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

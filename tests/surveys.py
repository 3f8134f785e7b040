"""Demo surveys for tests. Casting the photos takes seconds, so each survey is made once and kept for later runs."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

from spaceport.demo import Survey, make_survey

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".pytest_cache/surveys"
MADE_BY = (
    *("spaceport/demo", "spaceport/simd", "spaceport/splats/cameras.py", "spaceport/files.py"),
    *("tests/flights.py", "tests/ground_points.py"),
)
LIBRARIES = ("numba", "numpy", "pillow", "piexif")


def shared_survey(photos: int, width: int, height: int) -> Survey:
    """`make_survey` of this size; for all workers and runs the same files, which nobody may change."""
    folder = keep(f"{photos}-photos-{width}x{height}", lambda folder: make_survey(folder, photos, width, height))
    return Survey(folder / "survey.zip", folder / "truth.json", photos)


def keep(name: str, make: Callable[[Path], object]) -> Path:
    """The folder of a survey, which `make` fills where nobody has yet; `truth.json` must be written last.

    Surveys that other code has made are removed.
    """
    folder = KEPT / _code() / name
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in KEPT.iterdir():
            if other.is_dir() and other.name != _code():
                shutil.rmtree(other)
        if not (folder / "truth.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            make(folder)
    return folder


@cache
def _code() -> str:
    """Hex of all that decides on a survey's bytes but its size."""
    digest = hashlib.sha256(repr([(name, version(name)) for name in LIBRARIES]).encode())
    for name in MADE_BY:
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]

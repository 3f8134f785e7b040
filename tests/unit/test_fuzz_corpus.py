"""What fuzzing began with and what it found, replayed; and each file of the corpus cut short and with bits flipped."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fuzz_targets import CORPUS, Target, targets

TARGETS = targets()
FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
MOST_MEMORY = 1 << 30


def test_every_target_has_a_corpus_and_the_corpus_stays_small() -> None:
    assert {path.parent.name for path in FILES} == set(TARGETS)
    assert sum(path.stat().st_size for path in FILES) < 500_000


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_untouched_files_are_read(name: str, tmp_path: Path) -> None:
    whole = [
        path for path in FILES if path.parent.name == name and not path.name.startswith(("crash", "oom", "timeout"))
    ]
    assert whole
    for path in whole:
        assert TARGETS[name].check(path.read_bytes(), tmp_path) == "a model", path.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_replayed_with_damage(path: Path, tmp_path: Path) -> None:
    target, data = TARGETS[path.parent.name], path.read_bytes()
    tracemalloc.start()
    try:
        target.check(data, tmp_path)
        for length in np.unique(np.linspace(0, len(data) - 1, 25).astype(int)):
            target.check(data[:length], tmp_path)
        refused = [flip(target, data, seed, tmp_path) for seed in range(40)]
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert len(refused) == 40


def flip(target: Target, data: bytes, seed: int, folder: Path) -> str:
    """Check `data` with one to three bits of it flipped, or with four bytes set to the largest number."""
    random, broken = np.random.default_rng(seed), bytearray(data)
    if seed % 4 == 0:
        at = random.integers(0, max(1, len(data) - 4))
        broken[at : at + 4] = b"\xff" * len(broken[at : at + 4])
    else:
        for at in random.integers(0, len(data), random.integers(1, 4)):
            broken[at] ^= 1 << random.integers(8)
    return target.check(bytes(broken), folder)

"""PLAS: reorders per second and smoothness, beside what others claim and beside the reference schedule.

    python benchmarks/plas.py [--seeds 3]

A reorder is one pass over all blocks. Rates are those of whole sorts, blurs and draws included, in wall clock and per
second of CPU time: on a machine that does other work too the latter says more. At 908 x 908 a whole sort takes minutes;
there a few radii are measured, each for some reorders, and the rate of a whole sort is not claimed.

Claims of others: the original Spaceport's own benchmark claims 1,320 reorders/s on a 31 x 31 grid; a public log of
SOGS on a GPU shows 326/s at 908 x 908 (824,464 Gaussians). Neither could be repeated here.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from spaceport.progress import Silent
from spaceport.simd.cores import usable_cores
from spaceport.splats.sog.plas import PlasSettings, mean_neighbour_distance, sort_grid

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/numeric"))
from plas_reference import sort_square

FEATURES = 14  # position, colour, scale, rotation, opacity
LIMIT_SECONDS = 15


class _TimeIsUp(Exception):
    pass


class _Limited(Silent):
    """Ends a sort after some seconds, and counts its reorders until then."""

    def __init__(self, seconds: float) -> None:
        self.reorders = 0
        self._until = time.perf_counter() + seconds

    def check(self) -> None:
        if time.perf_counter() > self._until:
            raise _TimeIsUp
        self.reorders += 1


def rate(side: int, settings: PlasSettings, threads: int) -> tuple[float, float]:
    """Reorders per second of wall clock and of CPU time, over a whole sort or its first seconds."""
    values = np.random.default_rng(0).random((side * side, FEATURES)).astype(np.float32)
    progress = _Limited(LIMIT_SECONDS)
    wall, cpu = time.perf_counter(), time.process_time()
    with suppress(_TimeIsUp):
        sort_grid(values, side, progress, settings=settings, threads=threads)
    return progress.reorders / (time.perf_counter() - wall), progress.reorders / (time.process_time() - cpu)


def rates() -> None:
    print(f"{'grid':>12} {'first radius':>13} {'threads':>8} {'reorders/s':>11} {'per CPU s':>10}  claimed by others")
    for side, radius, claim in (
        (31, None, "1,320 (the original's benchmark)"),
        (908, None, "326 (public log, GPU)"),
        (908, 30, ""),
        (908, 7, ""),
    ):
        for threads in sorted({1, usable_cores()}):
            wall, cpu = rate(side, PlasSettings(largest_radius=radius), threads)
            name = f"{side} x {side}"
            print(
                f"{name:>12} {radius or side // 2 - 1:13} {threads:8} {wall:11,.0f} {cpu:10,.0f}  {claim}", flush=True
            )


def smoothness(seeds: int) -> None:
    print("\nmean distance between neighbours; equal means a ratio of 1")
    print(
        f"{'grid':>12} {'features':>9} {'unsorted':>9} {'ours':>9} {'reference':>10}"
        f" {'ratio':>7} {'CPU s':>7} {'ref.':>7}"
    )
    for side, features in ((31, 3), (31, 14), (64, 3), (64, 14)):
        rows = [_smooth(side, features, seed) for seed in range(seeds)]
        before, ours, theirs, cpu, cpu_reference = np.mean(rows, axis=0)
        name = f"{side} x {side}"
        print(
            f"{name:>12} {features:9} {before:9.4f} {ours:9.4f} {theirs:10.4f} {ours / theirs:7.3f}"
            f" {cpu:7.2f} {cpu_reference:7.2f}",
            flush=True,
        )


def _smooth(side: int, features: int, seed: int) -> tuple[float, float, float, float, float]:
    values = np.random.default_rng(seed).random((side * side, features)).astype(np.float32)
    start = time.process_time()
    ours = sort_grid(values, side, Silent(), seed=seed).order
    middle = time.process_time()
    theirs = sort_square(values, side, seed)
    end = time.process_time()
    spreads = [mean_neighbour_distance(rows, side) for rows in (values, values[ours], values[theirs])]
    return spreads[0], spreads[1], spreads[2], middle - start, end - middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="sorts to average for the smoothness")
    arguments = parser.parse_args()
    sort_grid(np.zeros((9, 1)), 3, Silent())  # compiles
    rates()
    smoothness(arguments.seeds)


if __name__ == "__main__":
    main()

"""How many models this machine can compress at once: by its cores and its free memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from spaceport.splats.formats.ply import read_size
from spaceport.splats.sog import memory

MEMINFO = Path("/proc/meminfo")


def free_memory(meminfo: Path = MEMINFO) -> int:
    """Bytes that can be used without swapping, where the system says so; else half of what the machine has."""
    try:
        lines = meminfo.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


BASE_BYTES = 300 << 20
BYTES_PER_PLY_BYTE = 8
"""Memory of compressing a model that is no PLY, and so not read in blocks: for the libraries, and for each byte that it
has as a PLY.

Measured with balanced, all in memory: brighton (19 k Gaussians, SH 3, 4.7 MB) 259 MiB, biker (153 k, SH 0, 10.4 MB) 344
MiB, playbot (500 k, SH 2, 82 MB) 749 MiB, a made million with SH 0 (68 MB) 793 MiB and with SH 3 (248 MB) 1,356 MiB.
"""
PLY_SIZE = {".compressed.ply": 5, ".ply": 1, ".splat": 2.5, ".spz": 12}
MAX_PLY_SIZE = 30
"""How many times larger than its file a model is as a PLY, at most, by its name. SOG is the smallest."""


def estimate_memory(source: Path, size: int) -> int:
    """Bytes of memory that compressing a model of `size` bytes takes, overestimated rather than under.

    By the number of its Gaussians where it is a PLY, else by its name.
    """
    name = source.name
    try:
        return memory.estimate_memory(*read_size(source))
    except (OSError, ValueError):  # no PLY, or one that its own job will refuse
        pass
    times = next((times for suffix, times in PLY_SIZE.items() if name.lower().endswith(suffix)), MAX_PLY_SIZE)
    return BASE_BYTES + int(BYTES_PER_PLY_BYTE * times * size)


def max_workers(needs: Sequence[int], free: int, cores: int) -> int:
    """How many jobs, which need these bytes each, may run at any one time; one always may.

    Whichever of them run together, they fit, because the largest ones do.
    """
    largest = sorted(needs, reverse=True)
    fitting = [count for count in range(1, len(largest) + 1) if sum(largest[:count]) <= free]
    return max(1, min(cores, max(fitting, default=1)))

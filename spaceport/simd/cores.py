"""How many threads are worth starting on this machine."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that this process may run on. `os.cpu_count` counts those of the whole machine, even inside a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""How many threads are worth starting here."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores that this process may run on. Libraries left to themselves count those of the whole machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

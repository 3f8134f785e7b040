"""A few threads that run compiled kernels, which hold no GIL.

Waiting ones sleep instead of spinning, so a busy machine is not made busier.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Runs the parts of a piece of work side by side, one of them in the calling thread."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count - 1, thread_name_prefix="rasteriser") if count > 1 else None

    def each(self, work: Callable[[int], None], parts: int) -> None:
        """work(0) ... work(parts - 1); returns when all have ended, and raises what one of them raised."""
        if self._pool is None or parts < 2:
            for part in range(parts):
                work(part)
            return
        others = [self._pool.submit(work, part) for part in range(1, parts)]
        try:
            work(0)
        finally:
            for other in others:
                other.exception()  # waits: no part may still write when we return
        for other in others:
            other.result()

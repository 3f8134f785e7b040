"""Waiting for what other threads and processes do.

Patience costs nothing where all is well, and a shared machine stalls for seconds at a time; how fast things happen is
measured by `benchmarks/`, never here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 120.0


def until(holds: Callable[[], object], why: Callable[[], object] = str, seconds: float = PATIENCE) -> None:
    """Return as soon as something holds; fail, and say `why`, when it does not for so many seconds.

    It sleeps in between: one that asks without a pause keeps the interpreter from the very thread it waits for.
    """
    deadline, pause = time.monotonic() + seconds, 0.005
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {why()}"
        time.sleep(pause)
        pause = min(2 * pause, 0.1)

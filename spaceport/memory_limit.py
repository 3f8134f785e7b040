"""How much memory this process may have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),  # cgroup 2
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def memory_limit(containers: Sequence[Path] = CONTAINER_LIMITS) -> int:
    """Bytes of memory of the machine, or less where its container has a limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for path in containers if (limit := _read_limit(path)))])


def _read_limit(path: Path) -> int | None:
    """The limit that a file of a cgroup says; None where there is none: `max`, or no such file."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None

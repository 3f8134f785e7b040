"""What the child processes of this service do first."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when `parent`, which has just started it, ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        sys.exit(1)


def private_output() -> IO[str]:
    """Standard output, on a descriptor of its own: what libraries print to standard output then goes to stderr."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return out

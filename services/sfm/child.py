"""What the child processes of this service do first, and what it means when one has ended."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1
CRASHES: Final = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
"""The signals that a process brings on itself."""
_NO_MEMORY: Final = re.compile(
    r"MemoryError|bad_alloc|Cannot allocate memory|failed to map segment|can't start new thread"
    r"|Resource temporarily unavailable",
    re.IGNORECASE,
)


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


def was_killed(code: int) -> bool:
    """Whether a process with this exit code was ended from outside, as the kernel does where memory is out.

    A negative code is a signal's, 128 and more a signal's as shells and containers report it.
    """
    number = -code if code < 0 else code - 128
    return 0 < number <= max(signal.valid_signals()) and number not in (*CRASHES, signal.SIGXCPU)


def lacked_memory(code: int, log: str) -> bool:
    """Whether a process that ended so, and wrote this, had no memory, or no process or thread could be started."""
    return was_killed(code) or _NO_MEMORY.search(log) is not None

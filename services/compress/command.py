"""What a compression told on standard output, one JSON object a line: progress, then one result or one error.

`spaceport/cli/child.py` reads it; the two talk through a pipe because the command line imports no service.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from spaceport.pipeline.errors import Refused
from spaceport.progress import Count

EVERY_SECONDS = 0.1


class Lines:
    """Progress for a parent that shows a bar. A parent that ends us does so by a signal."""

    def __init__(self) -> None:
        self._next = 0.0
        self._ended = False

    def end(self, *_: object) -> None:
        """What a signal does: end the work now, or at its next `check` if that went under in a library's callback.

        Raises:
            KeyboardInterrupt: always.
        """
        self._ended = True
        sys.unraisablehook = lambda _: None  # such a callback must not complain of it either
        raise KeyboardInterrupt

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        self.check()
        if time.monotonic() >= self._next or fraction >= 1:
            self._next = time.monotonic() + EVERY_SECONDS
            tell({"fraction": round(fraction, 4), "message": message, "counts": counts})

    def check(self) -> None:
        if self._ended:
            raise KeyboardInterrupt


def tell(line: dict[str, Any]) -> None:
    """Write one line, at once."""
    sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
    sys.stdout.flush()


def report(work: Callable[[Lines], dict[str, Any]]) -> int:
    """Do `work` and tell its result, or in one sentence why there is none. Returns the exit code.

    Ctrl-C and SIGTERM end it like an error: what it made so far is cleared away.
    """
    lines = Lines()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lines.end)
    try:
        tell({"result": work(lines)})
    except BrokenPipeError:  # who asked is gone
        sys.stdout = None  # else Python complains at its end of what it could not say
        return 1
    except OSError as error:
        tell({"error": f"{error.filename or 'A file'}: {error.strerror or error}."})
        return 1
    except (ValueError, Refused) as error:
        tell({"error": str(error)})
        return 1
    except KeyboardInterrupt:
        return 130
    except MemoryError:
        tell({"error": "There is not enough memory for a model of this size."})
        return 1
    return 0

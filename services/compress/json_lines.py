"""Progress and the result of a command on standard output, one JSON object a line: progress, then a result or an error.

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


class JsonLinesProgress:
    """Progress for a parent process that shows a bar, and ends this one by a signal."""

    def __init__(self) -> None:
        self._next = 0.0
        self._ended = False

    def end(self, *_: object) -> None:
        """The signal handler: ends the work now, or at its next `check` if a library's callback swallowed that.

        Raises:
            KeyboardInterrupt: always.
        """
        self._ended = True
        sys.unraisablehook = lambda _: None  # such a callback must not print a traceback either
        raise KeyboardInterrupt

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        self.check()
        if time.monotonic() >= self._next or fraction >= 1:
            self._next = time.monotonic() + EVERY_SECONDS
            write_line({"fraction": round(fraction, 4), "message": message, "counts": counts})

    def check(self) -> None:
        if self._ended:
            raise KeyboardInterrupt


def write_line(line: dict[str, Any]) -> None:
    """Write one line, at once."""
    sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
    sys.stdout.flush()


def run_with_json_lines(work: Callable[[JsonLinesProgress], dict[str, Any]]) -> int:
    """Do `work` and write its result, or one sentence on why there is none. Returns the exit code.

    Ctrl-C and SIGTERM end it like an error: what it wrote so far is removed.
    """
    progress = JsonLinesProgress()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, progress.end)
    try:
        write_line({"result": work(progress)})
    except BrokenPipeError:  # the parent is gone
        sys.stdout = None  # else Python complains at exit that it cannot flush
        return 1
    except OSError as error:
        write_line({"error": f"{error.filename or 'A file'}: {error.strerror or error}."})
        return 1
    except (ValueError, Refused) as error:
        write_line({"error": str(error)})
        return 1
    except KeyboardInterrupt:
        return 130
    except MemoryError:
        write_line({"error": "There is not enough memory for a model of this size."})
        return 1
    return 0

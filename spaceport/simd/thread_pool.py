"""A few threads that run compiled kernels, which hold no GIL.

Waiting ones sleep instead of spinning, so a busy machine is not made busier. One hand-over costs about 30 microseconds,
half of what concurrent.futures takes; an iteration of training has five.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from itertools import count as numbers_from
from queue import SimpleQueue

_Inbox = SimpleQueue[Callable[[], None] | None]
_Ended = SimpleQueue[BaseException | None]


class Workers:
    """Runs the parts of a piece of work side by side, the calling thread being one of those who work."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._inbox: _Inbox = SimpleQueue()
        self._ended: _Ended = SimpleQueue()
        for number in range(1, count):
            name = f"rasteriser-{number}"
            threading.Thread(target=_serve, args=(self._inbox, self._ended), name=name, daemon=True).start()
        weakref.finalize(self, _dismiss, self._inbox, count - 1)

    def each(self, work: Callable[[int], None], parts: int) -> None:
        """work(0) ... work(parts - 1), each by whoever is free; returns when all have ended, and raises what one of
        them has raised."""
        numbers = numbers_from()  # `next` is atomic

        def share() -> None:
            while (part := next(numbers)) < parts:
                work(part)

        helpers = min(self.count, parts) - 1
        for _ in range(helpers):
            self._inbox.put(share)
        try:
            share()
        finally:  # no part may still write when we return
            errors = [self._ended.get() for _ in range(helpers)]
        for error in errors:
            if error is not None:
                raise error


def _serve(inbox: _Inbox, ended: _Ended) -> None:
    while (work := inbox.get()) is not None:
        error = None
        try:
            work()
        except BaseException as raised:  # handed to the caller of `each`
            error = raised
        del work  # who waits must not keep it, and all that it knows, alive
        ended.put(error)
        del error


def _dismiss(inbox: _Inbox, count: int) -> None:
    for _ in range(count):
        inbox.put(None)

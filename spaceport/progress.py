"""How a stage reports its progress, and learns that it must end."""

from __future__ import annotations

from typing import Protocol

Count = int | float | str


class Progress(Protocol):
    """What a stage's core calls. Any call may raise `Stopped`, `Interrupted` or `LostLease`: let them propagate."""

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        """Report that `fraction` (0 to 1, from real counters) of the stage is done, and what happens now.

        `counts` are figures to show meanwhile: photos, registered, gaussians, psnr, eta_seconds.
        Cheap: call it as often as something changes.
        """

    def check(self) -> None:
        """Raise if the work must end. Call it inside long loops, and every second while waiting on a child."""


class Silent:
    """Progress for tests and library use: reports to no one, never ends the work."""

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        pass

    def check(self) -> None:
        pass


class Share:
    """One phase of a stage: 0 to 1 here is `begin` to `end` of the whole."""

    def __init__(self, whole: Progress, begin: float, end: float) -> None:
        self._whole = whole
        self._begin = begin
        self._end = end

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        self._whole.update(self._begin + (self._end - self._begin) * fraction, message, **counts)

    def check(self) -> None:
        self._whole.check()

"""Several pieces of work at once: one bar for each on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

LINE_EVERY = 0.25
WIDEST_NAME = 32


class Bars(Progress):
    """One bar for each, with its percentage, its seconds and what happens now. Any thread may call it."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        super().__init__(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20, pulse_style="bar.back"),  # one that waits stands still
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}"),
            console=console,
        )
        self._bars = [self.add_task(escape(_short(name)), start=False, total=1.0, now="waiting") for name in names]

    def show(self, number: int, part: float, now: str) -> None:
        self.start_task(self._bars[number])
        self.update(self._bars[number], completed=part, now=now)

    def end(self, number: int, how: str) -> None:
        bar = self._bars[number]
        self.update(bar, now=how if how == "done" else f"[red]{how}")
        self.stop_task(bar)


class Lines:
    """The same as a line for every quarter of each, and one at its end: for logs and pipes."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console, self._names = console, names
        self._next = [0.0] * len(names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def show(self, number: int, part: float, now: str) -> None:
        if self._next[number] <= part < 1:
            self._next[number] = (part // LINE_EVERY + 1) * LINE_EVERY
            self._line(number, f"{100 * part:3.0f} %  {now}")

    def end(self, number: int, how: str) -> None:
        self._line(number, how)

    def _line(self, number: int, text: str) -> None:
        self._console.print(f"{self._names[number]}: {text}", markup=False)


def _short(name: str) -> str:
    """The end of a long name, which tells files apart."""
    return name if len(name) <= WIDEST_NAME else f"…{name[1 - WIDEST_NAME :]}"

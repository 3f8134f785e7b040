"""Progress of several models at once: a bar for each on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

LINE_EVERY = 0.25
WIDEST_NAME = 32


class ModelBars(Progress):
    """A bar for each model, with its percentage, its seconds and what happens now. Thread-safe."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        super().__init__(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=20, pulse_style="bar.back"),  # no animation while it waits
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[message]}", markup=False),
            console=console,
        )
        self._bars = [self.add_task(_short(name), start=False, total=1.0, message="waiting") for name in names]

    def show(self, number: int, fraction: float, message: str) -> None:
        self.start_task(self._bars[number])
        self.update(self._bars[number], completed=fraction, message=message)

    def end(self, number: int, outcome: str) -> None:
        bar = self._bars[number]
        self.update(bar, message=outcome)
        self.stop_task(bar)


class ModelLines:
    """The same as a line for every quarter of a model, and one at its end: for logs and pipes."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._names = names
        self._next = [0.0] * len(names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def show(self, number: int, fraction: float, message: str) -> None:
        if self._next[number] <= fraction < 1:
            self._next[number] = (fraction // LINE_EVERY + 1) * LINE_EVERY
            self._line(number, f"{100 * fraction:3.0f} %  {message}")

    def end(self, number: int, outcome: str) -> None:
        self._line(number, outcome)

    def _line(self, number: int, text: str) -> None:
        self._console.print(f"{self._names[number]}: {text}", markup=False, soft_wrap=True)


def _short(name: str) -> str:
    """The end of a long name, which distinguishes files."""
    return name if len(name) <= WIDEST_NAME else f"…{name[1 - WIDEST_NAME :]}"

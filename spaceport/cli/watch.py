"""A job as it goes: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from spaceport.pipeline.contract import TITLES, Figure, StageName
from spaceport.pipeline.jobs.state import END_STATES, PERCENT_SPAN, JobRecord
from spaceport.pipeline.jobs.table import JobTable

POLL_SECONDS = 0.4
LINE_EVERY_PERCENT = 5.0
PATIENCE_SECONDS = 180.0
SHOWN = {
    "photos": "{} photos",
    "registered": "{} placed",
    "iteration": "iteration {}",
    "gaussians": "{:,} Gaussians",
    "psnr": "{:.1f} dB",
    "seconds_left": "about {} s left",
}


class NeverBegan(Exception):
    """An upload that no job came of."""


def watch(table: JobTable, job_id: str, console: Console, check: Callable[[], None] = lambda: None) -> JobRecord:
    """Show a job until it ends. Returns its last row. What `check` raises, once for each look at the table, passes.

    Raises:
        NeverBegan: no job appeared within `PATIENCE_SECONDS`.
    """
    shown: AbstractContextManager[Bars | Lines] = Bars(console) if console.is_terminal else nullcontext(Lines(console))
    with shown as display:
        row = None
        for row in _rows(table, job_id, check):
            display.show(row)
    if row is None:
        raise NeverBegan(f"No job came of the upload {job_id} within {PATIENCE_SECONDS:.0f} seconds.")
    return row


def _rows(table: JobTable, job_id: str, check: Callable[[], None]) -> Iterator[JobRecord]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    row = None
    while row is None or row.state not in END_STATES:
        check()
        if (row := table.get(job_id)) is not None:
            yield row
        elif time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS)


def fraction(row: JobRecord, stage: StageName) -> float:
    """How much of a stage is done, 0 to 1, from the job's percentage."""
    low, high = PERCENT_SPAN[stage]
    return min(max((row.percent - low) / (high - low), 0.0), 1.0)


def details(live: dict[str, Figure]) -> str:
    """The figures of the running stage in words."""
    return " · ".join(form.format(live[name]) for name, form in SHOWN.items() if name in live)


class Bars(Progress):
    """One bar for each stage, with its percentage, the time left and what it does now."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            TextColumn("[bold]{task.description:<22}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[now]}"),
            console=console,
        )
        self._bars: dict[StageName, TaskID] = {}

    def show(self, row: JobRecord) -> None:
        for stage in StageName:
            part = fraction(row, stage)
            if stage not in self._bars and (part > 0 or row.stage is stage):
                self._bars[stage] = self.add_task(TITLES[stage], total=1.0, now="")
            if stage in self._bars:
                self.update(self._bars[stage], completed=part, now=_now(row, stage))


def _now(row: JobRecord, stage: StageName) -> str:
    if stage in row.seconds:
        return f"[dim]{row.seconds[stage]:.0f} s"
    return " · ".join(part for part in (row.message, details(row.live)) if part) if row.stage is stage else ""


class Lines:
    """A line when the state changes, and one for every few percent: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: tuple[str, float] = ("", -LINE_EVERY_PERCENT)

    def show(self, row: JobRecord) -> None:
        state, percent = self._told
        if row.state == state and row.percent < percent + LINE_EVERY_PERCENT:
            return
        self._told = (row.state, row.percent)
        text = " · ".join(part for part in (row.message, details(row.live)) if part)
        self._console.print(
            f"{row.percent:5.1f} %  {row.state:<12}  {text}", highlight=False, markup=False, soft_wrap=True
        )

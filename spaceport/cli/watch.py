"""A job's progress: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from spaceport.pipeline.contract import TITLES, Figure, StageName
from spaceport.pipeline.jobs.state import END_STATES, PERCENT_SPAN, JobRecord
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.text import visible

POLL_SECONDS = 0.4
LINE_EVERY_PERCENT = 5.0
PATIENCE_SECONDS = 180.0
DETAILS = {
    "photos": "{} photos",
    "registered": "{} placed",
    "iteration": "iteration {}",
    "gaussians": "{:,} Gaussians",
    "psnr": "{:.1f} dB",
    "seconds_left": "about {} s left",
}


class JobNotStarted(Exception):
    """No job was started for an upload."""


def watch(table: JobTable, job_id: str, console: Console, check: Callable[[], None] = lambda: None) -> JobRecord:
    """Show a job until it ends. Returns its last row. `check` is called at each poll; what it raises propagates.

    Raises:
        JobNotStarted: no job appeared within `PATIENCE_SECONDS`.
    """
    view: AbstractContextManager[StageBars | StageLines] = (
        StageBars(console) if console.is_terminal else nullcontext(StageLines(console))
    )
    with view as display:
        row = None
        for row in _rows(table, job_id, check):
            display.show(row)
    if row is None:
        raise _not_started(job_id)
    return row


def await_start(table: JobTable, job_id: str, check: Callable[[], None] = lambda: None) -> None:
    """Wait until a job has begun. Raises as `watch`."""
    if next(_rows(table, job_id, check), None) is None:
        raise _not_started(job_id)


def _not_started(job_id: str) -> JobNotStarted:
    return JobNotStarted(f"No job was started for the upload {job_id} within {PATIENCE_SECONDS:.0f} seconds.")


def _rows(table: JobTable, job_id: str, check: Callable[[], None]) -> Iterator[JobRecord]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    row = None
    while row is None or row.state not in END_STATES:
        check()
        row = table.get(job_id)
        if row is not None:
            yield row
        elif time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS)


def fraction(row: JobRecord, stage: StageName) -> float:
    """How much of a stage is done, 0 to 1, from the job's percentage."""
    low, high = PERCENT_SPAN[stage]
    return min(max((row.percent - low) / (high - low), 0.0), 1.0)


def details(live: dict[str, Figure]) -> str:
    """The figures of the running stage, with their units."""
    return " · ".join(form.format(live[name]) for name, form in DETAILS.items() if name in live)


class StageBars(Progress):
    """A bar for each stage, with its percentage, the time left and what it does now."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            TextColumn("{task.description:<22}", style="bold", markup=False),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[message]}", markup=False),
            console=console,
        )
        self._bars: dict[StageName, TaskID] = {}

    def show(self, row: JobRecord) -> None:
        for stage in StageName:
            done = fraction(row, stage)
            if stage not in self._bars and (done > 0 or row.stage is stage):
                self._bars[stage] = self.add_task(TITLES[stage], total=1.0, message="")
            if stage in self._bars:
                self.update(self._bars[stage], completed=done, message=_message(row, stage))


def _message(row: JobRecord, stage: StageName) -> str:
    if stage in row.seconds:
        return f"{row.seconds[stage]:.0f} s"
    return " · ".join(part for part in (visible(row.message), details(row.live)) if part) if row.stage is stage else ""


class StageLines:
    """A line when the state changes and for every few percent: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed: tuple[str, float] = ("", -LINE_EVERY_PERCENT)

    def show(self, row: JobRecord) -> None:
        state, percent = self._printed
        if row.state == state and row.percent < percent + LINE_EVERY_PERCENT:
            return
        self._printed = (row.state, row.percent)
        text = " · ".join(part for part in (visible(row.message), details(row.live)) if part)
        self._console.print(f"{row.percent:5.1f} %  {row.state:<12}  {text}", soft_wrap=True)

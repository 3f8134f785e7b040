"""What a service is: a name, a core that works on folders, and the exit codes of its process. Needs no cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spaceport.pipeline.contract import Outcome, StageName
from spaceport.pipeline.options import JobOptions
from spaceport.progress import Progress

DONE, FAILED, REFUSED, RETRY = 0, 1, 65, 75  # 65 and 75 are EX_DATAERR and EX_TEMPFAIL of sysexits.h


@dataclass(frozen=True)
class Stage:
    """A service: its name, and its core from folders and options to an outcome.

    A core that can resume writes `checkpoint` (a path below its output), whole each time, and looks for it when it
    begins. `reads` says what it takes, for people who run it without a cloud.
    """

    name: StageName
    run: Callable[[Path, Path, Any, Progress], Outcome]
    checkpoint: str | None = None
    reads: str = "folder with the input, laid out like jobs/ID/ in the bucket"

    def options(self, options: JobOptions) -> Any:
        """This stage's part of a job's options."""
        return getattr(options, self.name.value)

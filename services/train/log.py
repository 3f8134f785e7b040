"""training.log: one JSON object a line, written as training goes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from spaceport.files import write_atomic


@dataclass(frozen=True)
class LogEntry:
    """One evaluation: `psnr` in dB of the validation photos, `level` the size of the photos in use (0 to 1)."""

    iteration: int
    loss: float
    psnr: float
    gaussians: int
    seconds: float
    level: float


class TrainingLog:
    """Appends entries to a file, each at once, so that a killed run leaves what it had.

    Args:
        path: of the log.
        earlier: entries of the run that this one continues; anything else in the file is discarded.
    """

    def __init__(self, path: Path, earlier: Iterable[LogEntry] = ()) -> None:
        self._path = path
        self.entries = list(earlier)
        write_atomic(path, "".join(_json_line(entry) for entry in self.entries).encode())

    def add(self, entry: LogEntry) -> None:
        """Append one line."""
        self.entries.append(entry)
        with self._path.open("a") as file:
            file.write(_json_line(entry))

    @property
    def seconds(self) -> float:
        """Of training so far, with the runs that this one continues."""
        return self.entries[-1].seconds if self.entries else 0.0


def _json_line(entry: LogEntry) -> str:
    rounded = {name: round(value, 5) for name, value in asdict(entry).items()}
    return json.dumps(rounded) + "\n"

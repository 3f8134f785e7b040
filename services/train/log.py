"""training.log: one JSON object a line, written as training goes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from spaceport.files import write_atomic


@dataclass(frozen=True)
class Entry:
    """One measurement: `psnr` in dB of the photos that are only measured, `level` the photos' size in use (0 to 1)."""

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
        earlier: entries of the run that this one continues; the file then holds these and nothing else.
    """

    def __init__(self, path: Path, earlier: Iterable[Entry] = ()) -> None:
        self._path = path
        self.entries = list(earlier)
        write_atomic(path, "".join(_line(entry) for entry in self.entries).encode())

    def add(self, entry: Entry) -> None:
        """Append one line."""
        self.entries.append(entry)
        with self._path.open("a") as file:
            file.write(_line(entry))

    @property
    def seconds(self) -> float:
        """Trained so far, over all runs that this one continues."""
        return self.entries[-1].seconds if self.entries else 0.0


def _line(entry: Entry) -> str:
    rounded = {name: round(value, 5) for name, value in asdict(entry).items()}
    return json.dumps(rounded) + "\n"

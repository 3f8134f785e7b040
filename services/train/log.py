"""training.log: one JSON object a line, written as training goes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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
        resumed_at: iteration to continue from; later entries of an earlier run are dropped, 0 drops all.
    """

    def __init__(self, path: Path, resumed_at: int = 0) -> None:
        self._path = path
        self.entries = [entry for entry in read_log(path) if entry.iteration <= resumed_at] if resumed_at else []
        part = path.with_name(path.name + ".part")
        part.write_text("".join(_line(entry) for entry in self.entries))
        part.replace(path)

    def add(self, entry: Entry) -> None:
        """Append one line."""
        self.entries.append(entry)
        with self._path.open("a") as file:
            file.write(_line(entry))

    @property
    def seconds(self) -> float:
        """Trained so far, over all runs that this one continues."""
        return self.entries[-1].seconds if self.entries else 0.0


def read_log(path: Path) -> list[Entry]:
    """The entries of a log; a last line cut short by a kill is left out. An absent file has none."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return [entry for line in lines if (entry := _parse(line)) is not None]


def _parse(line: str) -> Entry | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        return Entry(**fields)
    except (ValueError, TypeError):
        return None


def _line(entry: Entry) -> str:
    rounded = {name: round(value, 5) for name, value in asdict(entry).items()}
    return json.dumps(rounded) + "\n"

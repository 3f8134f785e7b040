"""Reads what a stage before may have left as JSON: it may be missing, damaged, or of another version."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel

MAX_BYTES: Final = 64 << 20
"""Of a file of JSON: of 100,000 photos."""

Model = TypeVar("Model", bound=BaseModel)


def read_optional(path: Path, model: type[Model]) -> Model | None:
    """None where there is no such file, or none that the model fits."""
    return parse_optional(read_bytes(path), model)


def read_bytes(path: Path) -> bytes | None:
    """None where there is no such file, or one of absurd size."""
    try:
        return path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError:
        return None


def parse_optional(text: bytes | None, model: type[Model]) -> Model | None:
    """None where there is no text, or the model does not fit it."""
    try:
        return None if text is None else model.model_validate_json(text)
    except ValueError:
        return None

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
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None

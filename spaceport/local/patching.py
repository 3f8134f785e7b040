"""Changes functions of the exactly pinned ministack, in its own process; contract tests say what that relies on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any


def replace(module: Any, name: str, replacement: Callable[..., Any]) -> None:
    """Put `replacement` in the place of a function, which it gets as its first argument."""
    original = getattr(module, name)

    def replaced(*arguments: Any, **named: Any) -> Any:
        return replacement(original, *arguments, **named)

    setattr(module, name, replaced)


def edit(module: Any, name: str, edits: Mapping[str, str]) -> None:
    """Replace expressions within a function. Raises `RuntimeError` when one is not there."""
    exec(edited(getattr(module, name), edits), module.__dict__)  # noqa: S102  its own text


def edited(function: Any, edits: Mapping[str, str]) -> str:
    """The text of a function with other expressions. Raises `RuntimeError` when one is not there."""
    source = inspect.getsource(function)
    for before, after in edits.items():
        if before not in source:
            raise RuntimeError(f"ministack's {function.__name__} no longer has {before!r}")
        source = source.replace(before, after)
    return source

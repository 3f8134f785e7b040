"""A small EventBridge: does a pattern match an event, and what does an input transformer make of it."""

from __future__ import annotations

import json
from typing import Any


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Every field of the pattern must match; in a list, any one. Knows plain values and `suffix`, as we use them."""
    for name, wanted in pattern.items():
        if isinstance(wanted, dict):
            if not isinstance(event.get(name), dict) or not matches(wanted, event[name]):
                return False
        elif not any(_one(each, event.get(name)) for each in wanted):
            return False
    return True


def _one(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(wanted == value)
    assert set(wanted) == {"suffix"}, f"teach this matcher {wanted}"
    suffix = wanted["suffix"]
    if not isinstance(value, str):
        return False
    if isinstance(suffix, dict):
        return value.lower().endswith(suffix["equals-ignore-case"].lower())
    return value.endswith(suffix)


def transform(transformer: dict[str, Any], event: dict[str, Any]) -> Any:
    """The JSON that the target gets."""
    text = transformer["InputTemplate"]
    for name, path in transformer["InputPathsMap"].items():
        value: Any = event
        for step in path.removeprefix("$.").split("."):
            value = value[step]
        text = text.replace(f"<{name}>", json.dumps(value)[1:-1])
    return json.loads(text)

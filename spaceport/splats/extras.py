"""`extras` of meta.json and of glTF's root: what a model's coordinates mean. Readers that do not know it ignore it.

glTF calls data of an application's own `extras`; SOG's text lets unknown keys pass.
"""

from __future__ import annotations

from typing import Any

from spaceport.splats.frame import Frame, direction, origin_of

UP, ORIGIN, UNIT = "up", "origin", "unit"
METRE = "metre"


def extras_of(frame: Frame) -> dict[str, Any]:
    """What there is to say of a frame; empty where nothing is known."""
    extras: dict[str, Any] = {}
    if frame.up is not None:
        extras[UP] = list(frame.up)
    if any(frame.origin):
        extras[ORIGIN] = list(frame.origin)
    if frame.is_metric:
        extras[UNIT] = METRE
    return extras


def frame_of(extras: object) -> Frame:
    """The frame that an `extras` of any kind tells of. What is no direction, origin or unit counts as absent."""
    if not isinstance(extras, dict):
        return Frame()
    up = direction(extras[UP]) if _are_three(extras.get(UP)) else None
    origin = origin_of(extras[ORIGIN]) if _are_three(extras.get(ORIGIN)) else None
    return Frame(up, origin or (0.0, 0.0, 0.0), extras.get(UNIT) == METRE)


def _are_three(values: object) -> bool:
    return isinstance(values, list) and len(values) == 3 and all(type(part) in (int, float) for part in values)

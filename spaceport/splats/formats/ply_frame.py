"""What the comments of a PLY say of its model: which way is up, its origin, its unit, and that it is antialiased.

`Vertical Axis: z` is nerfstudio's; newer Brush writes the same with three numbers. `Origin` and `Unit` are ours.
"""

from __future__ import annotations

from spaceport.splats.formats.ply_header import PlyHeader
from spaceport.splats.frame import AXES, Frame, Vec3, axis_name, direction, origin_of

UP, ORIGIN, UNIT = "vertical axis:", "origin:", "unit:"
METRE = "metre"
ANTIALIASED = "SplatRenderMode: mip"
POSTSHOT_ANTIALIASED = "antialiased 1"
BRUSH = "exported from brush"
BRUSH_DEFAULT = "y"
"""What Brush says where it knows no better: its models keep COLMAP's axes, with y down."""


def frame_of(header: PlyHeader) -> Frame:
    """The frame that the comments tell of; what is not understood counts as not said."""
    comments = [comment.lower() for comment in header.comments]
    up = _after(comments, UP)
    if up == BRUSH_DEFAULT and BRUSH in comments:
        up = ""
    origin = origin_of(_numbers(_after(comments, ORIGIN)))
    return Frame(AXES.get(up) or direction(_numbers(up)), origin or (0.0, 0.0, 0.0), _after(comments, UNIT) == METRE)


def is_antialiased(header: PlyHeader) -> bool:
    """Whether a comment says so, in Brush's words or in Postshot's."""
    comments = [comment.lower() for comment in header.comments]
    return ANTIALIASED.lower() in comments or POSTSHOT_ANTIALIASED in comments


def comments_of(frame: Frame, *, antialiased: bool) -> list[str]:
    """The comments that say all this."""
    comments = [ANTIALIASED] * antialiased
    if frame.up is not None:
        comments.append(f"Vertical Axis: {axis_name(frame.up) if _is_axis(frame.up) else _text(frame.up)}")
    if any(frame.origin):
        comments.append(f"Origin: {_text(frame.origin)}")
    return comments + [f"Unit: {METRE}"] * frame.is_metric


def _is_axis(up: Vec3) -> bool:
    return up in AXES.values()


def _text(vector: Vec3) -> str:
    return " ".join(repr(part) for part in vector)


def _after(comments: list[str], name: str) -> str:
    return next((comment[len(name) :].strip() for comment in comments if comment.startswith(name)), "")


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()[:4]]
    except ValueError:
        return []

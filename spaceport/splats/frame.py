"""What a model's coordinates mean: which way is up, where its origin lies, and whether one unit is a metre.

It travels with the model through every format that has room for it, and is shown as a guess where none says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Vec3 = tuple[float, float, float]

AXES: Final[dict[str, Vec3]] = {
    "x": (1.0, 0.0, 0.0),
    "y": (0.0, 1.0, 0.0),
    "z": (0.0, 0.0, 1.0),
    "-x": (-1.0, 0.0, 0.0),
    "-y": (0.0, -1.0, 0.0),
    "-z": (0.0, 0.0, -1.0),
}
FARTHEST_ORIGIN: Final = 1e9
"""Units: a planet is smaller, and a double still has micrometres there."""
FAR: Final = 64.0
"""Widths of the model: one that lies this far from 0 has six bits less for its positions as float32."""
FAR_UNITS: Final = 4096.0
"""Nearer to 0 than that, float32 has steps of half a thousandth, and nothing needs to be moved."""


@dataclass(frozen=True)
class Frame:
    """The coordinates of a model."""

    up: Vec3 | None = None
    """A unit vector of the model's coordinates; None where nothing says which way is up."""
    origin: Vec3 = (0.0, 0.0, 0.0)
    """Add this to `means`, as doubles, to have the coordinates that the model came with: UTM metres, for instance."""
    is_metric: bool = False
    """Whether one unit is known to be a metre."""


UNKNOWN: Final = Frame()
"""Of a model of which nothing is known."""
Z_UP: Final = Frame(up=AXES["z"])
"""Of the models of our own jobs: structure from motion turns them."""


def axis_name(up: Vec3) -> str:
    """`z` or `-y`, or the three numbers of a direction that is no axis."""
    nearest = max(AXES, key=lambda name: np.dot(AXES[name], up))
    return nearest if np.dot(AXES[nearest], up) > 1 - 1e-6 else " ".join(f"{part:.6g}" for part in up)


def rotation_to_y_up(up: Vec3) -> list[float]:
    """The shortest rotation, xyzw, that takes the unit vector `up` to +y; half a turn about x from -y."""
    x, y, z = up
    if y < -0.999999:
        return [1.0, 0.0, 0.0, 0.0]
    quat = np.array([-z, 0.0, x, 1 + y])  # the cross product of up and y, and one plus their dot product
    return [float(part) for part in quat / np.linalg.norm(quat)]


def direction(values: Any) -> Vec3 | None:
    """The unit vector along three numbers; None where they are none, or not finite."""
    vector = np.asarray(values, np.float64)
    length = float(np.linalg.norm(vector))
    if vector.shape != (3,) or not np.isfinite(length) or length < 1e-9:
        return None
    if abs(length - 1) > 1e-6:  # one that is a unit vector stays as it is, to the bit
        vector = vector / length
    x, y, z = (float(part) for part in vector)
    return x, y, z


def origin_of(values: Any) -> Vec3 | None:
    """Three finite numbers that can be an origin; None otherwise."""
    vector = np.asarray(values, np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all() or np.abs(vector).max() > FARTHEST_ORIGIN:
        return None
    x, y, z = (float(part) for part in vector)
    return x, y, z


def far_origin(positions: NDArray[np.floating]) -> Vec3:
    """A round number near the middle of positions [N,3] along each axis on which they lie far from 0, 0 on others.

    Half of the positions, from the first to the third quartile, tell middle and width: a few stray ones do not count.
    """
    if not (np.abs(positions) > FAR_UNITS).any():  # as nearly always, and far cheaper than quantiles
        return (0.0, 0.0, 0.0)
    finite = positions[np.isfinite(positions).all(axis=1)]
    if not len(finite):
        return (0.0, 0.0, 0.0)
    low, middle, high = np.quantile(finite.astype(np.float64), (0.25, 0.5, 0.75), axis=0)
    width = max(float((high - low).max()), 1e-3)
    step = 10.0 ** np.ceil(np.log10(width))
    far = (np.abs(middle) > max(FAR * width, FAR_UNITS)) & (np.abs(middle) <= FARTHEST_ORIGIN)
    x, y, z = (float(part) for part in np.where(far, np.round(middle / step) * step, 0.0))
    return x, y, z

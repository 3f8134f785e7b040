"""A maker's calibration of a lens, fitted to the photo at hand: scaled to its size, dropped where it cannot be true."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.sfm.photo import LensCalibration

SAME_SIZE: Final = 0.03  # relative: a calibrated centre is that near to the middle of the photo it was calibrated for
SAME_SHAPE: Final = 0.02  # relative difference of aspect ratios, up to which they are the same
MAX_ASPECT: Final = 0.1  # of fy to fx: pixels are square
MAX_OFFSET: Final = 0.1  # of the principal point, as a share of the longer side
MIN_FOCAL, MAX_FOCAL = 0.2, 20.0  # of lenses, fish-eye to long zoom, as a share of the longer side
MAX_EXIF_RATIO: Final = 1.3  # between a calibrated focal length and EXIF's; beyond, it is of another lens or size
_RADII: Final = 64


@dataclass(frozen=True)
class RawCalibration:
    """DJI's tags as they are: pixels of the full photo.

    `centre` is in pixels from the corner; `dewarp` is fx, fy, cx, cy, k1, k2, p1, p2, k3, its centre from the middle.
    """

    focal: float | None
    centre: tuple[float, float] | None
    dewarp: tuple[float, ...] | None


def fit_calibration(
    raw: RawCalibration,
    stored: tuple[int, int],
    exif_size: tuple[int, int] | None,
    exif_focal_px: float | None,
    zoom: float = 1.0,
) -> LensCalibration | None:
    """The calibration in pixels of a photo of size `stored`, or None where it is not plausible for it.

    Args:
        exif_size: the size of the photo as EXIF has it, which is that of the original where somebody scaled the photo
            down and copied its EXIF.
        exif_focal_px: EXIF's focal length in pixels of the stored grid, with the zoom; a calibration that contradicts
            it is of another lens or of another size.
        zoom: the digital zoom: the middle of the full photo, enlarged.
    """
    if raw.dewarp is not None:
        fx, fy, cx, cy, *distortion = raw.dewarp
    elif raw.focal is not None:
        fx = fy = raw.focal
        cx = cy = 0.0
        distortion = [0.0] * 5
    else:
        return None
    full = _full_size(raw.centre, stored, exif_size)
    turned = (full[0] > full[1]) != (stored[0] > stored[1]) and not _same_shape(full, stored)
    if turned:  # the pixels were turned since, and nobody knows which way
        full, cx, cy = (full[1], full[0]), 0.0, 0.0
        distortion[2:4] = [0.0, 0.0]
    scale = zoom * max(stored[0] / full[0], stored[1] / full[1])  # a crop keeps the whole of one side
    k1, k2, p1, p2, k3 = distortion
    lens = LensCalibration(
        fx * scale, fy * scale, cx * scale, cy * scale, k1, k2, p1, p2, k3, has_distortion=any(distortion)
    )
    return lens if _is_plausible(lens, stored, exif_focal_px) else None


def _full_size(
    centre: tuple[float, float] | None, stored: tuple[int, int], exif_size: tuple[int, int] | None
) -> tuple[float, float]:
    """Width and height of the photo that was calibrated.

    Some packets have the middle of the photo for its calibrated centre: twice that is its size. Others have the
    principal point, in fractions of a pixel, which is only near to the middle: it decides between the sizes that are
    known, and is taken for the middle where none of them agrees with it.
    """
    candidates: list[tuple[float, float]] = [exif_size] if exif_size and exif_size[0] > stored[0] else []
    candidates.append(stored)
    if centre is None or min(centre) <= 0:
        return candidates[0]
    by_centre = 2 * centre[0], 2 * centre[1]
    if all(side == round(side) for side in by_centre):
        return by_centre
    for size in candidates:
        for full in (size, size[::-1]):
            if abs(by_centre[0] / full[0] - 1) <= SAME_SIZE and abs(by_centre[1] / full[1] - 1) <= SAME_SIZE:
                return full
    return by_centre


def _same_shape(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(one[0] / one[1] / (other[0] / other[1]) - 1) <= SAME_SHAPE


def _is_plausible(lens: LensCalibration, size: tuple[int, int], exif_focal_px: float | None) -> bool:
    longest, focal = max(size), (lens.fx + lens.fy) / 2
    if min(lens.fx, lens.fy) <= 0 or abs(lens.fx / lens.fy - 1) > MAX_ASPECT:
        return False
    if not MIN_FOCAL * longest < focal < MAX_FOCAL * longest or math.hypot(lens.cx, lens.cy) > MAX_OFFSET * longest:
        return False
    if exif_focal_px is not None and not 1 / MAX_EXIF_RATIO < focal / exif_focal_px < MAX_EXIF_RATIO:
        return False
    return abs(lens.p1) + abs(lens.p2) < 0.1 and _grows_outwards(lens, size)


def _grows_outwards(lens: LensCalibration, size: tuple[int, int]) -> bool:
    """Whether no two directions are shown at the same place, out to the corners, as in every lens."""
    radii = np.linspace(0, _corner_radius(lens, size), _RADII)
    squares = radii**2
    slope = 1 + squares * (3 * lens.k1 + squares * (5 * lens.k2 + squares * 7 * lens.k3))
    return bool((slope > 0.05).all())


def _corner_radius(lens: LensCalibration, size: tuple[int, int]) -> float:
    """The tangent of the angle between the axis and a corner's direction, as if the lens did not distort.

    That of a lens with a barrel distortion is wider, which only counts where the distortion nearly folds.
    """
    return math.hypot(size[0] / 2 / lens.fx, size[1] / 2 / lens.fy)


def fold_k3(lens: LensCalibration, size: tuple[int, int]) -> tuple[float, float]:
    """k1 and k2 that come nearest to k1, k2 and k3 over the whole picture: COLMAP's OPENCV model has no k3.

    Least squares of the radial displacement, in which a radius counts as often as the picture has pixels there.
    """
    radii = np.linspace(0, _corner_radius(lens, size), _RADII + 1)[1:]
    weights = np.sqrt(radii)
    basis = np.column_stack([radii**3, radii**5]) * weights[:, None]
    wanted = (lens.k1 * radii**3 + lens.k2 * radii**5 + lens.k3 * radii**7) * weights
    k1, k2 = np.linalg.lstsq(basis, wanted, rcond=None)[0]
    return float(k1), float(k2)

"""The registered photos of a model as the evidence about up needs them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.georeference.wgs84 import Array
from services.sfm.messages import TaskPhoto

MAX_POINTS: Final = 5_000  # for the ground; more points find the same plane
UNKNOWN: Final = (np.nan, np.nan, np.nan)

# EXIF's orientation: the right and the upper side of the picture, as a viewer shows it, in the camera's axes (x right
# and y down on the stored grid). 2, 4, 5 and 7 are mirrored.
_X, _Y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
_SIDES: Final = {
    1: (_X, -_Y),
    2: (-_X, -_Y),
    3: (-_X, _Y),
    4: (_X, _Y),
    5: (_Y, -_X),
    6: (-_Y, -_X),
    7: (-_Y, _X),
    8: (_Y, _X),
}


@dataclass(frozen=True, eq=False)
class PosedPhotos:
    """Poses in the model's frame, and what each photo says about itself."""

    rotations: Array
    """World to camera [N,3,3], OpenCV axes of the stored grid."""
    centres: Array
    """[N,3]."""
    orientations: NDArray[np.int64]
    """EXIF, 1-8 [N]."""
    gimbals: Array
    """Pitch, roll, yaw in degrees [N,3]; NaN where unknown."""
    points: Array
    """Some of the model's points [M,3]."""

    @property
    def views(self) -> Array:
        """Where the cameras look [N,3], unit vectors in the model."""
        return np.asarray(self.rotations[:, 2])

    @property
    def rights(self) -> Array:
        """The right side of each picture as a viewer shows it [N,3]."""
        return self._in_model(0)

    @property
    def tops(self) -> Array:
        """The upper side of each picture as a viewer shows it [N,3]."""
        return self._in_model(1)

    def _in_model(self, side: int) -> Array:
        own = np.array([_SIDES.get(int(number), _SIDES[1])[side] for number in self.orientations]).reshape(-1, 3)
        return np.asarray(np.einsum("nji,nj->ni", self.rotations, own))


def posed_photos(model: Any, photos: Iterable[TaskPhoto]) -> PosedPhotos:
    """Those of `photos` that are registered in a `pycolmap.Reconstruction`, in their order."""
    images = {image.name: image for image in model.images.values() if image.has_pose}
    registered = [photo for photo in photos if photo.file in images]
    gimbals = [[np.nan if angle is None else angle for angle in photo.gimbal or UNKNOWN] for photo in registered]
    rotations = [images[photo.file].cam_from_world().rotation.matrix() for photo in registered]
    return PosedPhotos(
        rotations=np.array(rotations).reshape(-1, 3, 3),
        centres=np.array([images[photo.file].projection_center() for photo in registered]).reshape(-1, 3),
        orientations=np.array([photo.orientation for photo in registered], dtype=np.int64),
        gimbals=np.array(gimbals).reshape(-1, 3),
        points=_some_points(model),
    )


def _some_points(model: Any) -> Array:
    points = list(model.points3D.values())
    return np.array([point.xyz for point in points[:: len(points) // MAX_POINTS + 1]], dtype=float).reshape(-1, 3)

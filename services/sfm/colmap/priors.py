"""What is known beforehand of a model's photos, ground points and lenses, as residuals in COLMAP's own problem.

COLMAP's reprojection residuals are pixels and have no standard deviation of their own. Instead of dividing them by
theirs, everything here is multiplied by it (`sigma_px`), which leaves the minimum where it is.
All cost functions are compiled ones: COLMAP holds Python's lock while it solves on several threads, and one in Python
would wait for that lock for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyceres
import pycolmap

from services.sfm.georeference.wgs84 import Array

ROBUST_SIGMAS: Final = 3.0
UNKNOWN_STD: Final = 1e6  # of camera parameters that have no prior
HELD_STD: Final = 1e-4  # of coefficients of distortion that stay where a calibration has them: 0.03 px in the corners
ASPECT_STD: Final = 0.002  # of fy / fx, as a share: pixels are square, or as the calibration has them
_SHIFT: Final = slice(4, 7)  # the translation among a similarity's parameters: quaternion, translation, log of scale
_SHIFT_ONLY: Final = [0, 1, 2, 3, 7]  # those of them that stay constant


@dataclass(frozen=True, eq=False)
class PositionPrior:
    """Where a photo was taken, and the standard deviation: both [3], in the model's frame."""

    position: Array
    std: Array


@dataclass(frozen=True, eq=False)
class GroundPoint:
    """A surveyed point: its position and standard deviation [3], where the model has it now, and its marks.

    `marks` are the name of an image and the pixel x, y in it, each with a standard deviation of `mark_std_px`.
    """

    position: Array
    std: Array
    place: Array
    marks: Sequence[tuple[str, float, float]]
    mark_std_px: float


@dataclass(frozen=True)
class FocalPrior:
    """A focal length in x and y (pixels), and its relative standard deviation; `distortion` holds the coefficients."""

    focal: tuple[float, float]
    std: float
    distortion: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Priors:
    """Positions by image name, ground points, focal lengths by camera id.

    `has_shift`: positions and ground points may lie apart by one translation, as after surveys on two base stations.
    `loss_sigmas`: scale of Cauchy's loss on positions and ground points; what is farther off pulls less and less.
    """

    positions: Mapping[str, PositionPrior] = field(default_factory=dict)
    ground_points: Sequence[GroundPoint] = ()
    focal: Mapping[int, FocalPrior] = field(default_factory=dict)
    has_shift: bool = False
    loss_sigmas: float = ROBUST_SIGMAS

    @property
    def fix_the_frame(self) -> bool:
        return bool(self.positions or self.ground_points)


class PriorBlocks:
    """Residual blocks of priors in a `pyceres.Problem`, and the parameters that come with them."""

    def __init__(self, problem: Any, model: Any, priors: Priors, sigma_px: float) -> None:
        self._problem, self._model, self._sigma, self._loss_sigmas = problem, model, sigma_px, priors.loss_sigmas
        self._images = {image.name: image for image in model.images.values() if image.has_pose}
        self._similarity = np.zeros(8)
        self._similarity[3] = 1.0
        self.points = [point.place.astype(np.float64).copy() for point in priors.ground_points]
        for camera_id, focal in priors.focal.items():
            self._add_focal(model.cameras[camera_id], focal)
        for name, position in priors.positions.items():
            self._add_position(self._images[name], position)
        for place, point in zip(self.points, priors.ground_points, strict=True):
            self._add_ground_point(place, point)
        if priors.ground_points and priors.has_shift:
            problem.set_manifold(self._similarity, pyceres.SubsetManifold(8, _SHIFT_ONLY))
        elif priors.ground_points:
            problem.set_parameter_block_constant(self._similarity)

    @property
    def shift(self) -> Array:
        """[3], from the frame of the positions to that of the ground points."""
        return self._similarity[_SHIFT].copy()

    def _add_position(self, image: Any, prior: PositionPrior) -> None:
        cost = pycolmap._core.cost_functions.AbsolutePosePositionPriorCost(self._covariance(prior.std), prior.position)
        self._problem.add_residual_block(cost, self._loss(self._loss_sigmas), [image.frame.rig_from_world.params])

    def _add_ground_point(self, place: Array, point: GroundPoint) -> None:
        costs = pycolmap._core.cost_functions
        surveyed = costs.Point3DAlignmentCost(self._covariance(point.std), point.position, True)
        self._problem.add_residual_block(surveyed, self._loss(self._loss_sigmas), [place, self._similarity])
        for name, x, y in point.marks:
            image = self._images[name]
            camera = self._model.cameras[image.camera_id]
            mark = costs.ReprojErrorCost(
                camera.model, self._covariance(np.full(2, point.mark_std_px)), np.array([x, y])
            )
            blocks = [place, image.frame.rig_from_world.params, camera.params]
            self._problem.add_residual_block(mark, self._loss(ROBUST_SIGMAS), blocks)

    def _add_focal(self, camera: Any, prior: FocalPrior) -> None:
        if not self._problem.has_parameter_block(camera.params):
            return
        mean, covariance = camera.params.copy(), np.diag(np.full(len(camera.params), UNKNOWN_STD**2))
        indices = camera.focal_length_idxs()
        known = np.array(prior.focal) if len(indices) > 1 else np.array([np.mean(prior.focal)])
        mean[indices] = known
        together, apart = np.outer(known, known) * prior.std**2, np.diag(np.square(known * ASPECT_STD))
        covariance[np.ix_(indices, indices)] = together + (apart if len(indices) > 1 else 0.0)
        if prior.distortion is not None:
            held = camera.extra_params_idxs()
            mean[held], covariance[held, held] = prior.distortion, HELD_STD**2
        cost = pyceres.factors.NormalPrior(mean, covariance / self._sigma**2)
        self._problem.add_residual_block(cost, pyceres.TrivialLoss(), [camera.params])

    def _covariance(self, std: Array) -> Array:
        return np.diag(np.square(std / self._sigma))

    def _loss(self, sigmas: float) -> Any:
        return pyceres.CauchyLoss(sigmas * self._sigma)

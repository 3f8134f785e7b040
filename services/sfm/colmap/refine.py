"""Adjusts a georeferenced model once more with exact positions and control points, if the photos bear them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.colmap.bundle_adjustment import Adjustment, median_error, robust_bundle_adjustment
from services.sfm.colmap.evidence import Evidence
from services.sfm.colmap.priors import ROBUST_SIGMAS, GroundPoint, Priors
from services.sfm.georeference.control_points import ControlNetwork, contradicts
from services.sfm.georeference.wgs84 import Array

POSITIONS: Final = "positions"
CONTROL_POINTS: Final = "control points"
MAX_ERROR_GROWTH: Final = 1.15  # of the median reprojection error: good priors cost hardly anything
MAX_ERROR_GROWTH_PX: Final = 0.03
MAX_SIGMAS: Final = 4.0  # median residual to standard deviation, from which on what is said of them is not true
WRONG_POINT_SIGMAS: Final = 6.0
MIN_CONTROL: Final = 4  # with fewer, nothing shows which one is wrong
MAX_ROUNDS: Final = 6
SAME_FRAME_M: Final = 0.15  # up to which positions and control points are taken for one frame


@dataclass(frozen=True, eq=False)
class Refinement:
    """The model, what shaped it, by how much positions were moved onto the control points' frame [3], and objections.

    `objections`: why positions or control points did not shape it, the rest of a sentence each.
    """

    model: Any
    used: Evidence
    shift: Array = field(default_factory=lambda: np.zeros(3))
    error_px: float = 0.0
    is_adjusted: bool = False
    objections: dict[str, str] = field(default_factory=dict)

    @property
    def priors(self) -> Priors:
        """What the model was adjusted with at last."""
        return _priors(self.used, False, ROBUST_SIGMAS)


def refine(model: Any, evidence: Evidence) -> Refinement:
    """Adjust a copy of `model` with all of the evidence, or with the part of it that the photos do not contradict.

    `model` must lie in the frame of its control points, else of its positions. Positions of a frame apart from that
    of the control points (another base station, another height datum) are moved onto it.
    """
    objections: dict[str, str] = {}
    for part in _parts(evidence):
        refinement = _adjust(model, part)
        refused = _objections(model, refinement)
        if not refused:
            return replace(refinement, objections=objections)
        objections = refused | objections
    return Refinement(model, replace(evidence, positions={}), objections=objections)


def _parts(evidence: Evidence) -> Iterator[Evidence]:
    if evidence.positions and evidence.network:
        yield evidence
        yield replace(evidence, positions={})
    elif evidence.fixes_the_frame:
        yield evidence


def _adjust(model: Any, evidence: Evidence) -> Refinement:
    """With all of `evidence` but control points that turn out to be wrong."""
    trial, both = pycolmap.Reconstruction(model), bool(evidence.positions and evidence.network)
    total = _median_shift(trial, evidence) if both else np.zeros(3)
    evidence, has_shift = evidence.moved(total), both
    sigmas, adjustment = np.inf, Adjustment()
    for _ in range(MAX_ROUNDS):
        previous, sigmas = sigmas, _loss_sigmas(trial, evidence)
        adjustment = robust_bundle_adjustment(trial, _priors(evidence, has_shift, sigmas))
        trial.transform(pycolmap.Sim3d(np.column_stack([np.eye(3), adjustment.shift])))
        total, evidence = total + adjustment.shift, evidence.moved(adjustment.shift)
        if evidence.network:
            evidence = replace(evidence, network=evidence.network.measured(trial))
        if ROBUST_SIGMAS < sigmas < previous:  # tighter, from where it is now
            continue
        if has_shift and float(np.abs(total).max()) <= SAME_FRAME_M:
            evidence, total, has_shift = evidence.moved(-total), np.zeros(3), False
        elif evidence.network and (wrong := _worst_point(evidence.network)):
            evidence = replace(evidence, network=evidence.network.without(wrong))
        else:
            break
    return Refinement(trial, evidence, total, adjustment.error_px, is_adjusted=True)


def _loss_sigmas(model: Any, evidence: Evidence) -> float:
    """The scale of the priors' loss: wide where the model is bent, or the priors that could straighten it would not."""
    return max(ROBUST_SIGMAS, *(2 * sigmas for sigmas in _median_sigmas(model, evidence).values()))


def _median_sigmas(model: Any, evidence: Evidence) -> dict[str, float]:
    """The median distance between model and positions, and between it and control points, in standard deviations."""
    medians = {}
    if evidence.positions:
        off = [
            (model.find_image_with_name(name).projection_center() - prior.position) / prior.std
            for name, prior in evidence.positions.items()
        ]
        medians[POSITIONS] = float(np.median(np.linalg.norm(off, axis=1)))
    if evidence.network and evidence.network.control:
        off = [(point.place - point.target) / point.std for point in evidence.network.control]
        medians[CONTROL_POINTS] = float(np.median(np.linalg.norm(off, axis=1)))
    return medians


def _priors(evidence: Evidence, has_shift: bool, loss_sigmas: float) -> Priors:
    points = [
        GroundPoint(each.target, each.std, each.place, each.marks, each.point.mark_std_px)
        for each in (evidence.network.control if evidence.network else [])
    ]
    return Priors(evidence.positions, points, evidence.focal, has_shift, loss_sigmas)


def _median_shift(model: Any, evidence: Evidence) -> Array:
    """From the positions [3] to the model."""
    off = [model.find_image_with_name(name).projection_center() - p.position for name, p in evidence.positions.items()]
    return np.asarray(np.median(off, axis=0))


def _worst_point(network: ControlNetwork) -> dict[int, str]:
    """The number of the control point that is farthest off, with the reason; empty where none is wrong."""
    sigmas = {
        number: float(np.linalg.norm((point.place - point.target) / point.std))
        for number, point in enumerate(network.points)
        if point.controls
    }
    worst = max(sigmas, key=lambda number: sigmas[number], default=None)
    if worst is None or len(sigmas) <= MIN_CONTROL - 1 or sigmas[worst] <= WRONG_POINT_SIGMAS:
        return {}
    point = network.points[worst]
    return {worst: contradicts(float(np.linalg.norm(point.place - point.target)))}


def _objections(free: Any, refinement: Refinement) -> dict[str, str]:
    """What speaks against a refinement: that the photos fit it worse, or that it misses what it was adjusted to."""
    objections = {
        what: f"the model, which the photos determine, misses them by {sigmas:.0f} times as much"
        for what, sigmas in _median_sigmas(refinement.model, refinement.used).items()
        if sigmas > MAX_SIGMAS
    }
    before, after = median_error(free) or 0.0, refinement.error_px
    if not objections and after > MAX_ERROR_GROWTH * before + MAX_ERROR_GROWTH_PX:
        blamed = POSITIONS if refinement.used.positions else CONTROL_POINTS
        objections[blamed] = (
            f"they would bend the model: features miss it by {after:.2f} pixels instead of {before:.2f}"
        )
    return objections

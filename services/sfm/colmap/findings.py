"""What a pilot should know of positions and control points that were to shape the model, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from services.sfm.colmap.priors import PositionPrior
from services.sfm.colmap.refine import CONTROL_POINTS, POSITIONS, SAME_FRAME_M, Refinement
from services.sfm.georeference.control_points import ControlNetwork
from services.sfm.georeference.position_priors import prior_std
from services.sfm.wording import length
from spaceport.pipeline.reports.sfm import Finding, Verdict

MAX_NAMED: Final = 5
SMALL_SHARE: Final = 0.4  # extent of the control points to that of the photos: beyond them nothing holds the model


def list_findings(refinement: Refinement, exact: Mapping[str, PositionPrior]) -> list[Finding]:
    """Of a refined model; `exact` are the positions that were to shape it."""
    network = refinement.used.network
    sentences = [
        *_about_objections(refinement.objections, exact, network),
        *(_about_points(network) if network else []),
        *(_about_extent(network, refinement.model) if network and not refinement.used.positions else []),
        *_about_shift(refinement),
    ]
    return [Finding(level=Verdict.WARN, sentence=sentence) for sentence in sentences]


def _about_objections(
    objections: dict[str, str], exact: Mapping[str, PositionPrior], network: ControlNetwork | None
) -> list[str]:
    sentences = []
    if reason := objections.get(POSITIONS):
        across, _ = prior_std({file: prior.std for file, prior in exact.items()})
        sentences.append(
            f"The photos' positions are said to be exact to {length(across)}, but {reason}. They placed the model, and"
            " did not shape it. Check the base station, the camera's clock, and what geo.txt was made from."
        )
    if (reason := objections.get(CONTROL_POINTS)) and network:
        across = float(np.median([point.point.std_m[0] for point in network.control]))
        sentences.append(
            f"The control points are said to be exact to {length(across)}, but {reason}. They placed the model, and"
            " did not shape it. Check their coordinates, their system, and their marks."
        )
    return sentences


def _about_points(network: ControlNetwork) -> list[str]:
    sentences = [
        f"Control point {point.point.name} was left out: {point.reason}."
        for point in network.points
        if point.reason and np.isfinite(point.place).all()
    ]
    names = [point.point.name for point in network.points if point.left_out]
    if names:
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        points = f"control {'point' if len(names) == 1 else 'points'} {', '.join(names[:MAX_NAMED])}{more}"
        sentences.append(
            f"Marks of {points} were left out, as they contradict the other marks of the same point. Were they set in"
            " the right photo? The report names it."
        )
    return sentences


def _about_extent(network: ControlNetwork, model: Any) -> list[str]:
    centres = np.array([image.projection_center() for image in model.images.values() if image.has_pose])
    flown = float(np.linalg.norm(np.ptp(centres[:, :2], axis=0)))
    spanned = float(np.linalg.norm(np.ptp([point.target[:2] for point in network.control], axis=0)))
    if spanned >= SMALL_SHARE * flown:
        return []
    return [
        f"The control points span {length(spanned)} of a survey of {length(flown)}: outside of them nothing holds the"
        " model. Put points at its rim too."
    ]


def _about_shift(refinement: Refinement) -> list[str]:
    east, north, up = map(float, refinement.shift)
    if max(abs(east), abs(north), abs(up)) <= SAME_FRAME_M:
        return []
    across = length(float(np.hypot(east, north)))
    return [
        f"The photos' positions and the control points lie {across} apart on the ground and"
        f" {length(abs(up))} in height. The model lies where the control points say. If that is not known, check the"
        " coordinate systems, the heights (above the ellipsoid, or above the sea) and the base station."
    ]

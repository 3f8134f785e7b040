"""A bent flight, adjusted with one kind of prior after another: prints its figures as JSON. Run by test_sfm_priors.py.

Each line is of the model after a similarity onto the true centres, but for `off`, which is without.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pycolmap
from nadir_model import Array, bend, fly, ground, marks, with_lens

from services.sfm.colmap.bundle_adjustment import robust_bundle_adjustment
from services.sfm.colmap.priors import FocalPrior, GroundPoint, PositionPrior, Priors
from services.sfm.georeference.similarity import SimilarityFit, fit_similarity

STD = np.array([0.02, 0.02, 0.03])
CORNERS = np.array([(2.0, 3.0), (60.0, 2.0), (4.0, 25.0), (62.0, 27.0), (30.0, 12.0)])

flight = fly()
names = sorted(flight.centres)
truth = np.array([flight.centres[name] for name in names])
places = np.column_stack([CORNERS, ground(CORNERS)])
marked = [marks(flight.model, place, 0.5, number) for number, place in enumerate(places)]


def show(name: str, **figures: Any) -> None:
    print("FIGURES", json.dumps({"name": name, **figures}))


def fit_to(model: Any, targets: Array) -> tuple[Array, SimilarityFit]:
    centres = np.array([model.find_image_with_name(name).projection_center() for name in names])
    return centres, fit_similarity(centres, targets)


def measure(name: str, model: Any) -> None:
    """How far centres are off, how much the ground is bent (range of a quadric without its plane), the lens."""
    centres, fit = fit_to(model, truth)
    points = fit.similarity.apply(np.array([point.xyz for point in model.points3D.values()]))
    x, y = points[:, 0], points[:, 1]
    quadric = np.column_stack([np.ones_like(x), x, y, x * x, y * y, x * y])
    off = quadric @ np.linalg.lstsq(quadric, points[:, 2] - ground(points[:, :2]), rcond=None)[0]
    plane = quadric[:, :3] @ np.linalg.lstsq(quadric[:, :3], off, rcond=None)[0]
    show(
        name,
        free=float(np.median(np.linalg.norm(fit.residuals, axis=1))),
        off=float(np.median(np.linalg.norm(centres - truth, axis=1))),
        bend=float(np.ptp(off - plane)),
        focal=model.cameras[1].params[:2].tolist(),
    )


def aligned(model: Any, targets: Array) -> Any:
    """A copy, moved onto `targets`."""
    copy = pycolmap.Reconstruction(model)
    fit = fit_to(copy, targets)[1].similarity
    copy.transform(pycolmap.Sim3d(np.column_stack([fit.scale * fit.rotation, fit.translation])))
    return copy


def ground_points(surveyed: Array) -> list[GroundPoint]:
    return [GroundPoint(s, STD, place, seen, 1.0) for s, place, seen in zip(surveyed, places, marked, strict=True)]


def main() -> None:
    free = flight.model
    bend(flight)
    measure("mapped", free)
    with_lens(free, "OPENCV")
    robust_bundle_adjustment(free)
    measure("lens", free)

    random = np.random.default_rng(1)
    measured = truth + random.normal(0, STD, truth.shape)
    wild = measured + np.where(np.arange(len(names)) == 5, 1.5, 0.0)[:, None]
    model = aligned(free, measured)
    robust_bundle_adjustment(model, Priors({name: PositionPrior(p, STD) for name, p in zip(names, wild, strict=True)}))
    measure("positions", model)

    surveyed = places + random.normal(0, STD, places.shape)
    model = aligned(free, truth + random.normal(0, 0.05, truth.shape))
    adjusted = robust_bundle_adjustment(model, Priors(ground_points=ground_points(surveyed)))
    measure("ground points", model)
    show("points", off=float(np.linalg.norm(adjusted.ground_points - places, axis=1).max()))

    model = aligned(free, measured)
    positions = {name: PositionPrior(p, STD) for name, p in zip(names, measured, strict=True)}
    points = ground_points(surveyed + np.array([0.3, -0.2, 31.0]))
    adjusted = robust_bundle_adjustment(model, Priors(positions, points, has_shift=True))
    measure("both", model)
    show("shift", shift=adjusted.shift.tolist())

    model = pycolmap.Reconstruction(free)
    robust_bundle_adjustment(model, Priors(focal={1: FocalPrior((1973.0, 1966.0), 0.001)}))
    measure("focal", model)


if __name__ == "__main__":
    main()

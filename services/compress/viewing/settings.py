"""Makes `viewer.json` from the flight and from what structure from motion says of metres and of up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError

from services.compress.viewing.flight_path import FIELD_OF_VIEW, FlightPath
from services.compress.viewing.pictures import FLIGHT_SECONDS
from services.compress.viewing.survey import Array, up_from_cameras
from spaceport.pipeline.reports.sfm import Georeference
from spaceport.pipeline.reports.viewer import Flight, FlightKey, Metric, Point, View, ViewerSettings
from spaceport.splats.cameras import Camera

MAX_BYTES: Final = 8 << 20
Z: Final = np.array([0.0, 0.0, 1.0])
SAME_DIRECTION: Final = np.cos(np.radians(1))
NOT_KNOWN: Final = "The model came without a word on its scale."
NOT_METRIC: Final = "No positions gave it a scale: the photos say too little of where they were taken."


def read_georeference(path: Path) -> Georeference | None:
    """What structure from motion says of the frame; None where there is nothing that can be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        tree = json.loads(path.read_bytes())
        return Georeference.model_validate({name: value for name, value in tree.items() if name != "version"})
    except (OSError, ValueError, AttributeError, RecursionError, ValidationError):
        return None


def model_up(georeference: Georeference | None, cameras: Sequence[Camera]) -> Array:
    """The direction [3] away from the ground: z, but for a model that came with a frame of its own."""
    if georeference is None or "z up" in georeference.axes:
        return Z
    if georeference.to_ecef is not None:  # away from the earth's middle, to a fifth of a degree
        into_earth = np.array(georeference.to_ecef)
        up = into_earth[:3, :3].T @ into_earth[:3, 3]
        up /= np.linalg.norm(up)
    elif cameras:
        up = up_from_cameras(cameras)
    else:
        return Z
    return Z if float(up @ Z) > SAME_DIRECTION else np.asarray(up)


def make_settings(path: FlightPath, first: int, up: Array, georeference: Georeference | None) -> ViewerSettings:
    """The content of `viewer.json`. `first`: the key of the first view."""
    times = np.linspace(0, FLIGHT_SECONDS, len(path.positions)).round(4)
    keys = [
        FlightKey(time=float(time), position=_point(position), target=_point(target), fov=FIELD_OF_VIEW)
        for time, position, target in zip(times, path.positions, path.targets, strict=True)
    ]
    return ViewerSettings(
        up=_point(up),
        view=View(position=keys[first].position, target=keys[first].target, fov=FIELD_OF_VIEW),
        flight=Flight(seconds=FLIGHT_SECONDS, keys=keys),
        metric=_metric(georeference),
    )


def _metric(georeference: Georeference | None) -> Metric:
    if georeference is None:
        return Metric(is_metric=False, why_not=NOT_KNOWN)
    if not georeference.metric:
        return Metric(is_metric=False, why_not=georeference.metric_reason or georeference.reason or NOT_METRIC)
    return Metric(
        is_metric=True,
        unit_m=georeference.unit_m or 1.0,
        scale_uncertainty=georeference.scale_uncertainty,
        uncertainty_m=georeference.uncertainty_m,
    )


def _point(values: Array) -> Point:
    x, y, z = (float(f"{value:.7g}") for value in values)
    return x, y, z

"""How far the model has each photo from the position that came with it, by direction. Pure numpy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from services.sfm.colmap.snapshot import Snapshot
from services.sfm.georeference.wgs84 import enu_to_ecef, to_enu
from services.sfm.photo import Position
from spaceport.pipeline.reports.sfm import Georeference

Offset = tuple[float, float, float | None]


def offsets_from_positions(
    snapshot: Snapshot, positions: Mapping[str, Position | None], georeference: Georeference
) -> dict[str, Offset]:
    """Metres east, north and up, by name, of registered photos that have a position; up is None without altitude.

    Empty where the model is not aligned: it then lies nowhere that positions could be compared with.
    """
    origin = georeference.origin
    located = [(number, name) for number, name in enumerate(snapshot.names) if positions.get(name)]
    if not georeference.aligned or origin is None or georeference.to_ecef is None or not located:
        return {}
    at = np.array([origin.latitude, origin.longitude, origin.altitude_m])
    into_enu = np.linalg.inv(enu_to_ecef(at)) @ np.array(georeference.to_ecef)
    centres = snapshot.centres[[number for number, _ in located]] @ into_enu[:3, :3].T + into_enu[:3, 3]
    rows = [positions[name] or (np.nan, np.nan, None) for _, name in located]
    degrees = np.array([(row[0], row[1], origin.altitude_m if row[2] is None else row[2]) for row in rows])
    offsets = centres - to_enu(degrees, at)
    return {
        name: (float(east), float(north), None if row[2] is None else float(up))
        for (_, name), row, (east, north, up) in zip(located, rows, offsets, strict=True)
    }

"""What is true of a demo survey: `truth.json`, the camera and the pose of every photo."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from spaceport.demo.geodesy import Place, from_enu
from spaceport.demo.solids import Array
from spaceport.files import write_atomic
from spaceport.splats.cameras import Camera

_VERSION: Final = 1
_MAX_FILE: Final = 16 << 20


@dataclass(frozen=True, eq=False)
class Truth:
    """East-north-up metres around `origin`; cameras as everywhere: OpenCV axes, pixel centres at +0.5."""

    seed: int
    origin: Place
    cameras: list[Camera]

    @property
    def centres(self) -> Array:
        """[photos, 3] where each photo was taken from."""
        return np.array([camera.position for camera in self.cameras])

    @property
    def scene_size(self) -> float:
        """Metres between the two farthest photos: the measure for errors of position."""
        centres = self.centres
        return float(np.linalg.norm(centres[:, None] - centres[None], axis=2).max())


def write_truth(path: Path, truth: Truth) -> None:
    """Write `truth.json`, at once or not at all."""
    tree = {
        "version": _VERSION,
        "seed": truth.seed,
        "axes": "metres, x east, y north, z up; camera x right, y down, z forward",
        "origin": asdict(truth.origin),
        "scene_size": truth.scene_size,
        "photos": [_row(camera, truth.origin) for camera in truth.cameras],
    }
    write_atomic(path, (json.dumps(tree, indent=1, allow_nan=False) + "\n").encode())


def load_truth(path: Path) -> Truth:
    """Read `truth.json`.

    Raises:
        ValueError: for a damaged file; the message says what is wrong with it.
        OSError: when the file cannot be read.
    """
    if path.stat().st_size > _MAX_FILE:
        raise ValueError("truth.json is too large to be one")
    try:
        tree = json.loads(path.read_bytes())
        if tree["version"] != _VERSION:
            raise ValueError(f"truth.json must be of version {_VERSION}")
        return Truth(int(tree["seed"]), Place(**tree["origin"]), [_camera(row) for row in tree["photos"]])
    except (json.JSONDecodeError, RecursionError, KeyError, TypeError, AttributeError):
        raise ValueError("truth.json is damaged: fields are missing or wrong") from None


def _row(camera: Camera, origin: Place) -> dict[str, Any]:
    return {
        "name": camera.name,
        "width": camera.width,
        "height": camera.height,
        **{key: getattr(camera, key) for key in ("fx", "fy", "cx", "cy")},
        "world_to_camera": camera.world_to_camera.tolist(),
        "centre": camera.position.tolist(),
        "wgs84": asdict(from_enu(camera.position, origin)),
    }


def _camera(row: dict[str, Any]) -> Camera:
    fields = {key: row[key] for key in ("name", "width", "height", "fx", "fy", "cx", "cy")}
    return Camera(**fields, world_to_camera=np.array(row["world_to_camera"], np.float64))

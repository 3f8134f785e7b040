"""A workspace to train on, without structure from motion: photos of the demo survey with their true cameras.

    python benchmarks/gpu_scene.py JOB_FOLDER [--photos 60] [--width 1024] [--points 15000]

Writes JOB_FOLDER/colmap/dense as the sfm stage would, for machines where COLMAP is not installed. The sparse points
lie on the surfaces that the photos show, a few hundred in each.
"""

from __future__ import annotations

import argparse
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from spaceport.demo.flight import plan_flight
from spaceport.demo.lens import Lens
from spaceport.demo.raycast import cast_photo
from spaceport.demo.scene import make_scene
from spaceport.splats.sog.attributes.rotations import quaternions

SEED = 7
FAR_METRES = 1_000.0
"""Beyond it there is only sky."""

Floats = npt.NDArray[np.float64]


def write_workspace(dense: Path, photos: int, width: int, points: int) -> None:
    """`images/` and `sparse/` of a flight of so many photos, 4:3, with about so many points."""
    lens, scene = Lens(width, width * 3 // 4), make_scene(SEED)
    random = np.random.default_rng(SEED)
    (dense / "images").mkdir(parents=True, exist_ok=True)
    (dense / "sparse").mkdir(exist_ok=True)
    views, places = [], []
    for index, shot in enumerate(plan_flight(photos, lens, SEED)):
        pixels, depth = cast_photo(scene, shot.world_to_camera, lens)
        Image.fromarray(pixels).save(dense / "images" / shot.name, quality=95)
        places += _points(pixels, depth, shot.world_to_camera, lens, -(-points // photos), random)
        (quaternion,) = quaternions(shot.world_to_camera[None, :3, :3])
        pose = (*quaternion, *shot.world_to_camera[:3, 3])
        views.append(struct.pack("<i7di", index + 1, *pose, 1) + shot.name.encode() + struct.pack("<xQ", 0))
    camera = struct.pack("<ii2Q4d", 1, 1, lens.width, lens.height, lens.focal, lens.focal, *lens.centre)
    numbered = [struct.pack("<Q", number) + place for number, place in enumerate(places)]
    for file, records in (("cameras", [camera]), ("images", views), ("points3D", numbered)):
        (dense / "sparse" / f"{file}.bin").write_bytes(struct.pack("<Q", len(records)) + b"".join(records))


def _points(
    pixels: npt.NDArray[np.uint8], depth: Floats, pose: Floats, lens: Lens, count: int, random: np.random.Generator
) -> list[bytes]:
    """Records of points3D.bin, without their number, at random pixels of one photo."""
    rows, columns = random.integers(0, lens.height, count), random.integers(0, lens.width, count)
    seen = depth[rows, columns] < FAR_METRES
    rows, columns = rows[seen], columns[seen]
    x, y = (columns + 0.5 - lens.centre[0]) / lens.focal, (rows + 0.5 - lens.centre[1]) / lens.focal
    rays = np.column_stack([x, y, np.ones(len(x))])
    local = rays / np.linalg.norm(rays, axis=1, keepdims=True) * depth[rows, columns, None]
    places = (local - pose[:3, 3]) @ pose[:3, :3]
    colours = pixels[rows, columns].tolist()
    return [
        struct.pack("<3d3BdQ", *place, *colour, 0.5, 0) for place, colour in zip(places.tolist(), colours, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--points", type=int, default=15_000)
    arguments = parser.parse_args()
    write_workspace(arguments.job / "colmap/dense", arguments.photos, arguments.width, arguments.points)


if __name__ == "__main__":
    main()

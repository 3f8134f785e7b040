"""Flights over the demo's hamlet with truth: any lens, any plan, any tags, right or wrong, and ground points.

Each is made once and kept, like the surveys of `surveys.py`.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import piexif
from ground_points import GroundPoint, find_ground_points, gcp_list
from numpy.typing import NDArray
from surveys import keep

from spaceport.demo.flight import FORWARD_OVERLAP, HAMLET, SIDE_OVERLAP, START, look_along
from spaceport.demo.geodesy import Place, from_enu
from spaceport.demo.gimbal import gimbal_angles
from spaceport.demo.lens import Lens
from spaceport.demo.photos import _position, encode_photo
from spaceport.demo.raycast import cast_photo
from spaceport.demo.scene import make_scene
from spaceport.demo.survey import ORIGIN
from spaceport.simd.cores import usable_cores

Array = NDArray[np.float64]

P4: Final = Lens(640, 520, 21.1, (-3.3, 4.1), (-0.4, 0.2, 0.0008, -0.0006, -0.05))
"""Like the RGB camera of a P4 Multispectral: f/w 1.22, and a barrel distortion that its JPEGs keep."""
RTK_STD: Final = (0.012, 0.012, 0.018)
_FAR: Final = np.array([18_000.0, 17_000.0, 0.0])
_UP: Final = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Flight:
    """What is flown, through which lens, and what the photos say of it."""

    plan: str = "grid"
    """One of `PLANS`."""
    photos: int = 16
    altitude: float = 40.0
    lens: Lens = field(default_factory=lambda: Lens(640, 480))
    seed: int = 7
    orientations: tuple[int, ...] = (1,)
    """EXIF Orientation of the photos in turn. The camera is held so (6 and 8: portrait); its grid stays a landscape."""
    gps: bool = True
    gps_std_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Noise of the positions, east, north and up."""
    lag_s: float = 0.0
    """By how much the positions are late."""
    stale: int = 0
    """The first photos, whose fix is of the last flight, 25 km away."""
    rtk: bool = False
    """Positions with noise of `RTK_STD`, and tags that say so."""
    gimbal: bool = False
    """Gimbal angles and the height over the take-off."""
    focal_tags: bool = True
    calibration: bool = False
    """The lens in DJI's tags, at the size of the photo."""
    dewarped: bool = False
    """The drone has taken the distortion out of the photos, though its tags tell the lens."""
    zoomed: tuple[int, ...] = ()
    """Photos of a digital zoom of 2: the middle, enlarged."""
    control: bool = False
    """`gcp_list.txt` with 5 points, and 3 more named CHECK1 to CHECK3."""


@dataclass(frozen=True)
class FlightTruth:
    """What is true of a flight. Photos by their names in the zip; poses [4, 4] with OpenCV axes."""

    zip_path: Path
    lens: Lens
    """Of the photos without zoom."""
    poses: dict[str, Array]
    points: list[GroundPoint]
    """Some eighty all over the ground that was flown over, with exact marks."""

    def centres(self, names: list[str]) -> Array:
        return np.array([-self.poses[name][:3, :3].T @ self.poses[name][:3, 3] for name in names])

    @property
    def extent(self) -> float:
        """Diagonal of the camera positions in metres."""
        return float(np.linalg.norm(np.ptp(self.centres(list(self.poses)), axis=0)))


def fly(flight: Flight) -> FlightTruth:
    """The flight's photos and truth; for all workers and runs the same files, which nobody may change."""
    # Flights that differ in their tags alone share their pixels.
    seen = (flight.plan, flight.photos, flight.altitude, _cast_lens(flight), flight.seed)
    pictures = keep(
        _name(flight, (*seen, flight.orientations, flight.zoomed)), lambda folder: _take_pictures(flight, folder)
    )
    folder = keep(f"{_name(flight, flight)}-tagged", lambda folder: _tag_pictures(flight, pictures, folder))
    tree = json.loads((folder / "truth.json").read_text())
    return FlightTruth(
        folder / "survey.zip",
        _cast_lens(flight),
        {name: np.array(pose) for name, pose in tree["poses"].items()},
        [GroundPoint(**point) for point in tree["points"]],
    )


def _name(flight: Flight, of: object) -> str:
    return f"{flight.plan}-{hashlib.sha256(repr(of).encode()).hexdigest()[:12]}".replace(" ", "-")


def _take_pictures(flight: Flight, folder: Path) -> None:
    """Photos with the tags of the demo's camera but no position, and what is true of them."""
    scene, random = make_scene(flight.seed), np.random.default_rng([flight.seed, 9])
    poses = PLANS[flight.plan](flight, random)
    poses = [_turn(pose, flight.orientations[k % len(flight.orientations)]) for k, pose in enumerate(poses)]
    times = np.cumsum(random.integers(3, 6, len(poses)))
    names = [f"DJI_{k + 1:04d}.JPG" for k in range(len(poses))]
    lenses = [_lens_of(flight, k) for k in range(len(poses))]

    def take(k: int) -> Array:
        pixels, depth = cast_photo(scene, poses[k], lenses[k])
        photo = encode_photo(pixels, flight.lens, START + timedelta(seconds=int(times[k])), ORIGIN, b"")
        (folder / names[k]).write_bytes(photo)
        return depth

    with ThreadPoolExecutor(usable_cores()) as pool:
        depths = list(pool.map(take, range(len(poses))))
    tree = {
        "times": times.tolist(),
        "poses": {name: pose.tolist() for name, pose in zip(names, poses, strict=True)},
        "points": [asdict(point) for point in find_ground_points(scene, names, poses, lenses, depths)],
    }
    (folder / "truth.json").write_text(json.dumps(tree))


def _tag_pictures(flight: Flight, pictures: Path, folder: Path) -> None:
    tree, random = json.loads((pictures / "truth.json").read_text()), np.random.default_rng([flight.seed, 10])
    poses = [np.array(pose) for pose in tree["poses"].values()]
    positions = _noted_positions(flight, poses, np.array(tree["times"], float), random)
    with zipfile.ZipFile(folder / "survey.zip", "w") as archive:
        for k, name in enumerate(tree["poses"]):
            place = from_enu(positions[k], ORIGIN)
            photo = (pictures / name).read_bytes()
            archive.writestr(name, _tag(photo, flight, k, place, _xmp(flight, poses[k], place)))
        if flight.control:
            points = [GroundPoint(**point) for point in tree["points"]]
            archive.writestr("gcp_list.txt", gcp_list(points, random))
    (folder / "truth.json").write_text(json.dumps(tree))


def _cast_lens(flight: Flight) -> Lens:
    return replace(flight.lens, distortion=(0.0,) * 5) if flight.dewarped else flight.lens


def _lens_of(flight: Flight, photo: int) -> Lens:
    """Through which a photo is cast: a digital zoom enlarges all that is in pixels."""
    lens = _cast_lens(flight)
    if photo not in flight.zoomed:
        return lens
    return replace(lens, focal_mm=2 * lens.focal_mm, offset=(2 * lens.offset[0], 2 * lens.offset[1]))


# Plans: poses in the order of the flight.


def _footprint(flight: Flight) -> tuple[float, float]:
    """Metres of level ground that a nadir photo shows, across and along."""
    lens = flight.lens
    return flight.altitude * lens.width / lens.focal, flight.altitude * lens.height / lens.focal


def _grid(flight: Flight, random: np.random.Generator) -> list[Array]:
    """Lines to and fro along north, straight down."""
    across, along = _footprint(flight)
    step, pitch = (1 - FORWARD_OVERLAP) * along, (1 - SIDE_OVERLAP) * across
    lines = max(2, round(math.sqrt(flight.photos * step / pitch)))
    poses = []
    for line, members in enumerate(np.array_split(np.arange(flight.photos), lines)):
        heading = 1.0 if line % 2 == 0 else -1.0
        for k in range(len(members)):
            east = HAMLET[0] + (line - (lines - 1) / 2) * pitch
            north = HAMLET[1] + heading * (k - (len(members) - 1) / 2) * step
            poses.append(_nadir((east, north, flight.altitude), heading, random))
    return poses


def _strip(flight: Flight, random: np.random.Generator) -> list[Array]:
    """One straight line along north, straight down."""
    step = (1 - FORWARD_OVERLAP) * _footprint(flight)[1]
    middle = (flight.photos - 1) / 2
    return [
        _nadir((HAMLET[0], HAMLET[1] + (k - middle) * step, flight.altitude), 1.0, random) for k in range(flight.photos)
    ]


def _nadir(place: tuple[float, float, float], heading: float, random: np.random.Generator) -> Array:
    position = np.array(place) + random.normal(0, (0.4, 0.4, 0.3))
    return look_along(position, -_UP, np.array([0.0, heading, 0.0]), random)


def _arc(flight: Flight, random: np.random.Generator, turn: float) -> list[Array]:
    """Around the hamlet at a distance of 1.2 times the height, looking in."""
    target, poses = np.array([*HAMLET, 1.5]), []
    for angle in np.arange(flight.photos) / flight.photos * turn + 0.3:
        position = target + 1.2 * flight.altitude * np.array([math.cos(angle), math.sin(angle), 0.0])
        position += np.array([0.0, 0.0, flight.altitude]) + random.normal(0, (0.4, 0.4, 0.3))
        poses.append(look_along(position, target - position, _UP, random))
    return poses


def _orbit(flight: Flight, random: np.random.Generator) -> list[Array]:
    return _arc(flight, random, math.tau)


def _half_orbit(flight: Flight, random: np.random.Generator) -> list[Array]:
    return _arc(flight, random, math.pi)


def _grid_and_orbit(flight: Flight, random: np.random.Generator) -> list[Array]:
    half = replace(flight, photos=flight.photos // 2)
    return _orbit(half, random) + _grid(replace(half, photos=flight.photos - half.photos), random)


def _court(flight: Flight, random: np.random.Generator) -> list[Array]:
    """On foot around the yard, level with the eyes, looking across it."""
    poses = []
    for angle in np.arange(flight.photos) / flight.photos * math.tau:
        outward = np.array([math.cos(angle), math.sin(angle), 0.0])
        position = np.array([-3.0, 4.5, 1.7]) + (6.0, 4.0, 0.0) * outward + random.normal(0, (0.2, 0.2, 0.1))
        poses.append(look_along(position, -outward + (0.0, 0.0, 0.08), _UP, random))
    return poses


def _facade(flight: Flight, random: np.random.Generator) -> list[Array]:
    """On foot along the farmhouse, level with the eyes, looking at it and half up."""
    poses = []
    for along in np.linspace(-8.0, 8.0, flight.photos):
        position = np.array([-18.0 + along, -9.0, 1.7]) + random.normal(0, (0.2, 0.2, 0.1))
        forward = np.array([-18.0 + 0.6 * along, 2.0, 3.0]) - position
        poses.append(look_along(position, forward, _UP, random))
    return poses


PLANS: Final[dict[str, Callable[[Flight, np.random.Generator], list[Array]]]] = {
    "grid": _grid,
    "strip": _strip,
    "orbit": _orbit,
    "half orbit": _half_orbit,
    "grid and orbit": _grid_and_orbit,
    "court": _court,
    "facade": _facade,
}


def _turn(pose: Array, orientation: int) -> Array:
    """The same view by a camera that is held as `orientation` says: 6 has its left side up, 8 its right side."""
    right, down, forward = pose[:3]
    rows = {1: [right, down, forward], 6: [down, -right, forward], 8: [-down, right, forward]}[orientation]
    return np.array([*rows, pose[3]])


# Tags.


def _noted_positions(flight: Flight, poses: list[Array], times: Array, random: np.random.Generator) -> Array:
    """[n, 3] where the photos say that they were taken."""
    centres = np.array([-pose[:3, :3].T @ pose[:3, 3] for pose in poses])
    before = 2 * centres[0] - centres[1], 2 * times[0] - times[1]
    track, clock = np.vstack([before[0], centres]), np.array([before[1], *times])
    noted = np.column_stack([np.interp(times - flight.lag_s, clock, axis) for axis in track.T])
    noise = RTK_STD if flight.rtk else flight.gps_std_m
    noted = noted + random.normal(0, 1, noted.shape) * noise
    noted[: flight.stale] = centres[0] + _FAR
    return noted


def _tag(photo: bytes, flight: Flight, number: int, place: Place, xmp: bytes) -> bytes:
    tags = piexif.load(photo)
    tags["GPS"] = _position(place) if flight.gps else {}
    tags["0th"][piexif.ImageIFD.Orientation] = flight.orientations[number % len(flight.orientations)]
    if flight.rtk or flight.calibration:
        tags["0th"] |= {piexif.ImageIFD.Make: b"DJI", piexif.ImageIFD.Model: b"FC6360"}
    exif, unknown = piexif.ExifIFD, set()
    if flight.zoomed:
        tags["Exif"][exif.DigitalZoomRatio] = (2 if number in flight.zoomed else 1, 1)
        unknown = {exif.FocalLengthIn35mmFilm}
    if not flight.focal_tags:
        unknown = {exif.FocalLength, exif.FocalLengthIn35mmFilm, exif.FocalPlaneXResolution, exif.FocalPlaneYResolution}
    tags["Exif"] = {tag: value for tag, value in tags["Exif"].items() if tag not in unknown}
    target = io.BytesIO()
    piexif.insert(piexif.dump(tags), photo, target)
    data = target.getvalue()
    segment = b"http://ns.adobe.com/xap/1.0/\0" + xmp
    after_exif = 4 + int.from_bytes(data[4:6], "big")  # SOI, then EXIF's segment
    assert data[2:4] == b"\xff\xe1"
    return data[:after_exif] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[after_exif:]


def _xmp(flight: Flight, pose: Array, place: Place) -> bytes:
    """The packet as DJI writes it: all attributes of one description."""
    tags: dict[str, str] = {}
    if flight.gimbal or flight.rtk:
        tags |= _gimbal(pose) | {"AbsoluteAltitude": f"{place.altitude:+.2f}"}
    if flight.rtk:
        east, north, up = RTK_STD
        tags |= {"RtkFlag": "50", "RtkStdLon": f"{east:.5f}", "RtkStdLat": f"{north:.5f}", "RtkStdHgt": f"{up:.5f}"}
    if flight.calibration:
        lens = flight.lens
        k1, k2, p1, p2, k3 = lens.distortion
        figures = [lens.focal, lens.focal, *lens.offset, k1, k2, p1, p2, k3]
        tags |= {
            "CalibratedFocalLength": f"{lens.focal:.6f}",
            "CalibratedOpticalCenterX": f"{lens.width / 2:.6f}",
            "CalibratedOpticalCenterY": f"{lens.height / 2:.6f}",
            "DewarpFlag": str(int(flight.dewarped)),
            "DewarpData": "2019-06-13;" + ",".join(f"{figure:.9f}" for figure in figures),
        }
    attributes = "\n".join(f'   drone-dji:{name}="{value}"' for name, value in tags.items())
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="DJI Meta Data" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
{attributes}/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


def _gimbal(pose: Array) -> dict[str, str]:
    pitch, yaw, height = gimbal_angles(pose)
    return {
        "RelativeAltitude": f"{height:+.2f}",
        "GimbalRollDegree": "+0.00",
        "GimbalYawDegree": f"{yaw:+.2f}",
        "GimbalPitchDegree": f"{pitch:+.2f}",
    }

"""Flights with truth: their ground points lie where the photos show them, their tags say what they are meant to."""

import io
import zipfile

import numpy as np
import pytest
from flights import P4, RTK_STD, Flight, FlightTruth, fly
from ground_points import choose_control_points
from PIL import Image

from services.sfm.photos.exif import read_metadata
from services.sfm.photos.geo_files import parse_control_points
from spaceport.demo.geodesy import Place, to_enu
from spaceport.demo.lens import Lens
from spaceport.demo.survey import ORIGIN


@pytest.fixture(scope="module")
def flight() -> FlightTruth:
    lens = Lens(256, 204, P4.focal_mm, (1.0, -2.0), P4.distortion)
    return fly(Flight(photos=9, lens=lens, orientations=(1, 6, 8), rtk=True, calibration=True, control=True))


def _photo(flight: FlightTruth, name: str) -> Image.Image:
    with zipfile.ZipFile(flight.zip_path) as archive:
        return Image.open(io.BytesIO(archive.read(name)))


def test_photos_show_the_same_ground_at_a_points_marks(flight: FlightTruth) -> None:
    """Colours at the marks of one point are alike, and unlike those of others: a wrong lens or turn would show."""
    grey = {name: np.asarray(_photo(flight, name).convert("L"), float) for name in flight.poses}
    shades = [
        [grey[name][int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean() for name, (x, y) in point.marks.items()]
        for point in flight.points
    ]
    assert len(shades) > 15
    within, between = np.mean([np.std(values) for values in shades]), np.std([np.mean(values) for values in shades])
    assert within < 0.3 * between


def test_tags_say_orientation_receiver_and_lens(flight: FlightTruth) -> None:
    names = list(flight.poses)
    photos = [read_metadata(name, _photo(flight, name)) for name in names]
    assert [photo.orientation for photo in photos] == [1, 6, 8] * 3
    assert {(photo.width, photo.height) for photo in photos} == {(256, 204)}
    assert {photo.rtk_flag for photo in photos} == {50}
    assert {photo.position_std_m for photo in photos} == {RTK_STD}
    noted = np.array([to_enu(Place(*photo.position), ORIGIN) for photo in photos if photo.position])  # type: ignore[arg-type]
    assert 0.005 < np.median(np.linalg.norm(noted - flight.centres(names), axis=1)) < 0.05
    xmp = _photo(flight, names[0]).info["xmp"].decode()
    assert 'DewarpFlag="0"' in xmp
    data = xmp.split('DewarpData="')[1].split('"')[0].split(";")[1].split(",")
    k1, k2, p1, p2, k3 = P4.distortion
    assert list(map(float, data)) == pytest.approx([flight.lens.focal] * 2 + [1.0, -2.0, k1, k2, p1, p2, k3], abs=1e-6)


def test_the_control_points_are_those_of_the_ground(flight: FlightTruth) -> None:
    with zipfile.ZipFile(flight.zip_path) as archive:
        points = {point.name: point for point in parse_control_points(archive.read("gcp_list.txt").decode())}
    chosen = choose_control_points(flight.points)
    assert list(points) == list(chosen) == [f"GCP{k}" for k in range(1, 6)] + ["CHECK1", "CHECK2", "CHECK3"]
    for name, point in chosen.items():
        measured = to_enu(Place(*points[name].position), ORIGIN)
        assert np.linalg.norm(measured - point.place) < 0.06
        for photo, x, y in points[name].observations:
            assert np.linalg.norm(np.array([x, y]) - point.marks[photo]) < 2


def test_late_stale_and_missing_positions() -> None:
    lens = Lens(128, 96)
    late = _noted(Flight(photos=9, lens=lens, lag_s=2.0))
    assert 0.5 < np.median(np.linalg.norm(late, axis=1)) < 10
    stale = np.linalg.norm(_noted(Flight(photos=9, lens=lens, stale=2)), axis=1)
    assert (stale > 20_000).tolist() == [True] * 2 + [False] * 7
    none = fly(Flight(photos=9, lens=lens, gps=False))
    assert all(read_metadata(name, _photo(none, name)).position is None for name in none.poses)


def _noted(flight: Flight) -> np.ndarray:
    """[n, 3] metres by which the noted positions miss the true ones."""
    truth = fly(flight)
    photos = [read_metadata(name, _photo(truth, name)) for name in truth.poses]
    noted = np.array([to_enu(Place(*photo.position), ORIGIN) for photo in photos if photo.position])  # type: ignore[arg-type]
    return np.asarray(noted - truth.centres(list(truth.poses)))

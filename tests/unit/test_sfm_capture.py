"""The capture report: what pixels, tags and positions of photos say about a survey, and which photos are used."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from services.sfm.capture.findings import list_findings, overall_verdict
from services.sfm.capture.flights import split_into_flights
from services.sfm.capture.footprints import (
    MAX_REACH,
    CameraAim,
    ground_sampling_m,
    measure_coverage,
    project_footprint,
    view_direction,
)
from services.sfm.capture.image_quality import ImageQuality, find_repeats, measure_quality
from services.sfm.capture.measure import measure_photos
from services.sfm.capture.subset import choose_subset
from services.sfm.capture.survey import Capture, assess_capture
from services.sfm.photo import PhotoMetadata
from services.sfm.report.map import draw_map
from spaceport.demo.flight import plan_flight
from spaceport.demo.lens import Lens
from spaceport.demo.raycast import cast_photo
from spaceport.demo.scene import make_scene
from spaceport.pipeline.reports.sfm import CaptureFigures, Verdict

NADIR = CameraAim(0.0, 0.0, 40.0, -90.0, 0.0, 800.0, 1600, 900)
DOWN = view_direction(NADIR)
METRES_PER_DEGREE = 111_132.0
START = datetime(2026, 5, 1, 12)
EVERY_5_S = [(number, timedelta(seconds=5 * number)) for number in range(20, 24)]


@cache
def a_photo_of_the_hamlet(number: int) -> Image.Image:
    lens = Lens(480, 360)
    shot = plan_flight(12, lens, 7)[number]
    pixels, _ = cast_photo(make_scene(7), shot.world_to_camera, lens)
    return Image.fromarray(pixels).convert("L")


def quality_of(picture: Image.Image) -> ImageQuality:
    return measure_quality(np.asarray(picture))


def quality(sharpness: float = 1.0, number: int = 0, contrast: float = 40.0) -> ImageQuality:
    rng = np.random.default_rng(number)
    return ImageQuality(sharpness, 0.5, contrast, rng.integers(0, 256, 32, dtype=np.uint8).tobytes())


def shot(number: int, east: float = 0.0, north: float = 0.0, **fields: Any) -> PhotoMetadata:
    values: dict[str, Any] = {
        "make": "DJI",
        "model": "FC300S",
        "focal_px": 800.0,
        "position": (north / METRES_PER_DEGREE, east / METRES_PER_DEGREE, 240.0),
        "relative_altitude_m": 40.0,
        "gimbal_pitch": -90.0,
        "gimbal_yaw": 0.0,
        "taken_at": START + timedelta(seconds=5 * number),
    }
    return PhotoMetadata(f"p{number:03d}.jpg", "JPEG", 1600, 900, **(values | fields))


def a_grid(lines: int = 5, length: int = 6) -> list[PhotoMetadata]:
    return [shot(line * length + step, 24.0 * line, 9.0 * step) for line in range(lines) for step in range(length)]


def assess(photos: list[PhotoMetadata], max_photos: int = 500, **different: ImageQuality) -> Capture:
    qualities = {photo.name: quality(number=number) for number, photo in enumerate(photos)}
    qualities |= {f"{name}.jpg": each for name, each in different.items()}
    return assess_capture(photos, qualities, 0, max_photos)


def test_blur_lowers_sharpness_and_brightness_does_not() -> None:
    photo = a_photo_of_the_hamlet(8)
    sharp = quality_of(photo).sharpness
    blurred = [quality_of(photo.filter(ImageFilter.GaussianBlur(radius))).sharpness for radius in (1.0, 1.5, 3)]
    darker = quality_of(photo.point(lambda value: value * 0.5)).sharpness
    assert sharp > 2 * blurred[0] > 2 * blurred[1] > 2 * blurred[2]
    assert blurred[1] < 0.13
    assert darker == pytest.approx(sharp, rel=0.1)


def test_a_photo_saved_again_is_repeated_and_its_neighbour_is_not() -> None:
    first, second = a_photo_of_the_hamlet(8), a_photo_of_the_hamlet(9)
    again = first.point(lambda value: min(255, int(value * 1.1)))
    assert find_repeats([quality_of(photo) for photo in (first, second, again, first)]) == [
        (2, 0),
        (3, 0),
    ]


def test_black_photos_are_empty_and_repeat_nothing() -> None:
    black = [measure_quality(np.full((90, 160), 3, np.uint8))] * 3
    assert all(each.is_empty for each in black)
    assert find_repeats(black) == []
    assert find_repeats([]) == []


def test_photos_are_measured_from_their_files(tmp_path: Path) -> None:
    files = {}
    for number in (8, 9):
        a_photo_of_the_hamlet(number).save(tmp_path / f"{number}.jpg", quality=95)
        files[f"photo {number}"] = tmp_path / f"{number}.jpg"
    counted: list[int] = []
    measured = measure_photos(files, 480, counted.append)
    assert counted == [1, 2]
    assert set(measured) == set(files)
    assert measured["photo 8"].sharpness == pytest.approx(quality_of(a_photo_of_the_hamlet(8)).sharpness, rel=0.2)


def test_the_ground_in_a_photo_taken_straight_down() -> None:
    assert project_footprint(NADIR) == pytest.approx(np.array([[-40, 22.5], [40, 22.5], [40, -22.5], [-40, -22.5]]))
    assert ground_sampling_m(NADIR) == pytest.approx(0.05)


@given(st.floats(-90, -40), st.floats(-180, 180), st.floats(5, 200), st.floats(-500, 500), st.floats(-500, 500))
def test_corners_of_a_footprint_are_seen_in_the_corners_of_the_photo(
    pitch: float, yaw: float, height: float, east: float, north: float
) -> None:
    aim = CameraAim(east, north, height, pitch, yaw, 1600.0, 1600, 900)
    outline = project_footprint(aim)
    assert outline is not None
    tilt, turn = math.radians(pitch), math.radians(yaw)
    forward = np.array([math.cos(tilt) * math.sin(turn), math.cos(tilt) * math.cos(turn), math.sin(tilt)])
    right = np.array([math.cos(turn), -math.sin(turn), 0.0])
    down = np.cross(forward, right)
    for corner, (x, y) in zip(outline, ((-800, -450), (800, -450), (800, 450), (-800, 450)), strict=True):
        ray = np.array([*(corner - (east, north)), -height])
        assert 1600 * (ray @ right) / (ray @ forward) == pytest.approx(x, abs=0.1)
        assert 1600 * (ray @ down) / (ray @ forward) == pytest.approx(y, abs=0.1)


def test_a_photo_of_the_horizon_has_no_footprint_and_an_oblique_one_ends_somewhere() -> None:
    assert project_footprint(CameraAim(0, 0, 40, -5, 0, 800, 1600, 900)) is None
    oblique = project_footprint(CameraAim(0, 0, 40, -30, 0, 800, 1600, 900))
    assert oblique is not None
    assert np.linalg.norm(oblique, axis=1).max() <= 40 * MAX_REACH + 1e-6


def test_overlap_and_views_of_known_squares() -> None:
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)
    coverage = measure_coverage([square, square + np.array([5, 0]), square + np.array([100, 0])], [DOWN] * 3)
    assert coverage.overlap == pytest.approx([0.5, 0.5, 0.0])
    assert coverage.area_m2 == pytest.approx(250)
    assert (coverage.views, coverage.thin) == (1.0, 1.0)
    assert measure_coverage([square] * 4, [DOWN] * 4).views == 4
    aside = view_direction(replace(NADIR, pitch=-45.0))
    assert measure_coverage([square] * 3, [DOWN, aside, aside]).overlap == pytest.approx([0, 1, 1])


FINE = CaptureFigures(
    photos=100,
    unreadable=0,
    empty=0,
    repeated=0,
    blurred=0,
    cameras=1,
    exposure_stops=0.3,
    located=100,
    overlap=0.8,
    views=9.0,
    thin=0.1,
    longest_gap_s=None,
)


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, Verdict.GO, None),
        ({"blurred": 30}, Verdict.WARN, "30 of 100 photos blurred"),
        ({"blurred": 1}, Verdict.GO, "1 of 100 photos blurred"),
        ({"repeated": 20}, Verdict.WARN, "20 photos repeating another"),
        ({"empty": 1}, Verdict.GO, "1 photo with nothing but one colour"),
        ({"empty": 100}, Verdict.STOP, "100 of 100 photos show nothing"),
        ({"repeated": 98}, Verdict.STOP, "Only 2 of 100 photos differ"),
        ({"unreadable": 2}, Verdict.WARN, "2 photos left out"),
        ({"exposure_stops": 2.5}, Verdict.WARN, "2.5 stops"),
        ({"overlap": 0.41}, Verdict.WARN, "about 41% of its ground"),
        ({"views": 2.0, "thin": 0.7}, Verdict.WARN, "2 photos or fewer, 70% of it by one or two"),
        ({"located": 0}, Verdict.GO, "no place on the earth"),
        ({"located": 0, "control_points": 5}, Verdict.GO, "scale come from the control points alone"),
        ({"located": 90}, Verdict.GO, "10 photos without a position"),
        ({"cameras": 2}, Verdict.GO, "2 cameras"),
        ({"rtk": 100}, Verdict.GO, "no position to the centimetre"),
        ({"rtk": 100, "rtk_fixed": 88}, Verdict.GO, "no fix at 12 of 100 photos"),
        ({"rtk": 100, "rtk_fixed": 100}, Verdict.GO, "Positions are fixed by RTK."),
        (
            {"rtk": 100, "rtk_fixed": 100, "position_std_m": (0.012, 0.03)},
            Verdict.GO,
            "fixed by RTK, to 1.2 cm on the ground and 3.0 cm in height.",
        ),
        ({"photos": 12, "located": 12}, Verdict.GO, "12 photos in all"),
        ({"longest_gap_s": 1800.0}, Verdict.GO, "A pause of 30 minutes between"),
        ({"longest_gap_s": 3 * 86_400.0}, Verdict.GO, "A pause of 3 days between"),
        ({"unreadable": 1}, Verdict.WARN, "1 photo left out: it cannot be read."),
        ({"views": 1.0, "thin": 1.0}, Verdict.WARN, "seen by one photo or none"),
        ({"repeated": 99}, Verdict.STOP, "100 photos that all show the same."),
        ({"overlap": None, "views": None, "thin": None, "exposure_stops": None}, Verdict.GO, None),
    ],
)
def test_the_verdict_and_its_sentence(change: dict[str, Any], level: Verdict, words: str | None) -> None:
    findings = list_findings(CaptureFigures(**(vars(FINE) | change)))
    assert overall_verdict(findings) is level
    assert len(findings) == (words is not None)
    assert all(words and words in finding.sentence for finding in findings)


def test_the_gravest_finding_comes_first() -> None:
    findings = list_findings(CaptureFigures(**(vars(FINE) | {"blurred": 40, "located": 0, "repeated": 100})))
    assert [finding.level for finding in findings] == ["stop", "warn", "go"]


@given(st.integers(1, 200), st.integers(1, 220), st.integers(0, 2**32 - 1))
def test_a_subset_is_even_and_sharp(total: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sharpness = rng.random(total).tolist()
    skipped = set(np.flatnonzero(rng.random(total) < 0.2).tolist())
    chosen = choose_subset(range(total), sharpness, skipped, most)
    assert chosen == sorted(set(chosen))
    useful = [number for number in range(total) if number not in skipped]
    assert set(chosen) <= set(useful)
    assert len(chosen) == min(most, len(useful))
    places = [useful.index(number) for number in chosen]
    if len(useful) > most:
        assert max(np.diff([-1, *places, len(useful)])) <= 2 * math.ceil(len(useful) / most)


def test_rtk_fixes_are_counted() -> None:
    photos = [replace(photo, rtk_flag=50, position_std_m=(0.03, 0.04, 0.1)) for photo in a_grid()]
    photos[0] = replace(photos[0], rtk_flag=16, position_std_m=(1.5, 1.5, 3.0))
    figures = assess(photos).figures
    assert (figures.rtk, figures.rtk_fixed) == (30, 29)
    assert figures.position_std_m == pytest.approx((0.05, 0.1))


def test_a_well_flown_grid_may_go() -> None:
    capture = assess(a_grid())
    assert capture.verdict is Verdict.GO
    report = capture.report()
    assert report.height_m == 40.0
    assert report.ground_sampling_cm == pytest.approx(5.0)
    assert report.figures.overlap == pytest.approx(1 - 9 / 45, abs=0.01)
    assert report.cameras == {"DJI FC300S": 30}
    assert capture.used == list(range(30))


def test_photos_far_apart_are_a_warning() -> None:
    capture = assess([shot(number, 40.0 * number, 0) for number in range(25)])
    assert capture.verdict is Verdict.WARN
    assert "best neighbour" in capture.findings[0].sentence


def test_a_pause_is_reported_and_times_decide_the_order() -> None:
    later = timedelta(minutes=40)
    photos = [shot(number, 9.0 * number, 0) for number in range(6)]
    photos[0] = shot(0, taken_at=photos[-1].taken_at + later if photos[-1].taken_at else None)
    capture = assess(photos)
    assert capture.photos[-1].name == "p000.jpg"
    assert capture.figures.longest_gap_s == later.total_seconds()


def test_blurred_empty_and_repeating_photos_are_named_and_not_drawn_as_good() -> None:
    capture = assess(a_grid(), p003=quality(0.1, 3), p004=quality(0.0, 4, contrast=0.5), p009=quality(1.0, 8))
    assessments = capture.assessments()
    assert [name for name, photo in assessments.items() if photo.blurred] == ["p003.jpg"]
    assert [name for name, photo in assessments.items() if photo.empty] == ["p004.jpg"]
    assert assessments["p009.jpg"].repeats == "p008.jpg"
    drawing = draw_map(capture)
    assert drawing is not None
    svg = drawing.svg()
    assert ElementTree.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own drawing
    for tip in ("p003.jpg, blurred", "p004.jpg, shows nothing", "p009.jpg, repeats another"):
        assert f"<title>{tip}</title>" in svg


def test_the_line_on_the_map_ends_with_each_flight() -> None:
    later = timedelta(minutes=10)
    second = [shot(number, 9.0 * number, 200.0, taken_at=START + later * 2 + each) for number, each in EVERY_5_S]
    photos = [shot(number, 9.0 * number) for number in range(6)]
    assert lines_on_map(assess(photos)) == [6]
    assert lines_on_map(assess(photos + second)) == [6, 4]
    assert lines_on_map(assess([*photos, shot(50, 90.0, taken_at=START + later)])) == [6], "one photo makes no line"
    slow = [shot(number, 9.0 * number, taken_at=START + number * later) for number in range(6)]
    assert lines_on_map(assess(slow)) == [6], "a photo each ten minutes is no pause"


def test_photos_without_a_time_are_in_no_line() -> None:
    photos = [shot(number, 9.0 * number, taken_at=None) if number == 3 else shot(number) for number in range(6)]
    assert split_into_flights(photos) == [[0, 1, 2], [3], [4, 5]]
    assert split_into_flights([replace(photo, video="a.mp4") for photo in photos]) == [[0, 1, 2, 3, 4, 5]]
    assert split_into_flights([shot(5), shot(4)]) == [[0], [1]], "ordered by name, time may run backwards"
    assert split_into_flights([]) == []


def lines_on_map(capture: Capture) -> list[int]:
    """How many places each line goes through."""
    drawing = draw_map(capture)
    tree = ElementTree.fromstring(drawing.svg() if drawing else "")  # noqa: S314 - our own drawing
    return [len(line.attrib["points"].split()) for line in tree.iter() if line.tag.endswith("polyline")]


def test_too_many_photos_are_thinned_and_it_is_reported() -> None:
    capture = assess(a_grid(), max_photos=10)
    assert len(capture.used) == 10
    assert "10 of 30 photos are used" in capture.findings[-1].sentence
    assert sum(photo.used for photo in capture.assessments().values()) == 10


def test_without_positions_there_is_no_map() -> None:
    capture = assess([shot(number, position=None) for number in range(20)])
    assert draw_map(capture) is None
    assert capture.figures.overlap is None


def test_hostile_names_stay_text_in_the_drawing() -> None:
    photos = [shot(number, 9.0 * number, 0) for number in range(4)]
    bad = PhotoMetadata(**(vars(photos[0]) | {"name": "</svg><script>alert(1)</script>.jpg"}))
    capture = assess_capture([bad, *photos[1:]], {photo.name: quality() for photo in [bad, *photos]}, 0, 500)
    drawing = draw_map(capture)
    assert drawing is not None
    svg = drawing.svg()
    assert "<script>" not in svg

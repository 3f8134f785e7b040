"""The report page: what stands on it, what does not, and the map with its arrows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfm.capture.image_quality import ImageQuality
from services.sfm.capture.survey import Capture, assess_capture
from services.sfm.colmap.snapshot import Snapshot
from services.sfm.georeference.wgs84 import enu_to_ecef, to_enu
from services.sfm.messages import TaskControlPoint
from services.sfm.photo import PhotoMetadata, Position
from services.sfm.report.map import draw_map
from services.sfm.report.offset_arrows import OFFSET, OUTLIER
from services.sfm.report.offsets import offsets_from_positions
from services.sfm.report.page import build_page
from services.sfm.report.plan_drawing import PlanDrawing
from services.sfm.report.top_view import draw_top_view
from spaceport.pipeline.reports.sfm import (
    CameraReport,
    ControlPointReport,
    Finding,
    GeodeticOrigin,
    Georeference,
    PhotoReport,
    SfmReport,
    UpEvidenceReport,
    UpReport,
    Verdict,
)

REPORTS = Path(__file__).parents[1] / "data/sfm_reports"
NOTHING = "Nothing to complain about"
ORIGIN = np.array([50.0, -5.0, 100.0])
DEGREE_M = 111_200.0  # of latitude
TOP_VIEW = PlanDrawing("above", np.array([[0.0, 0.0], [1.0, 1.0]]), metric=True)


def report(name: str = "gps", **changes: Any) -> SfmReport:
    return SfmReport.model_validate_json((REPORTS / f"{name}.json").read_text()).model_copy(update=changes)


def georeference(**changes: Any) -> Georeference:
    at = GeodeticOrigin(latitude=ORIGIN[0], longitude=ORIGIN[1], altitude_m=ORIGIN[2])
    plain = {"aligned": True, "metric": True, "axes": "z", "origin": at, "to_ecef": enu_to_ecef(ORIGIN).tolist()}
    return Georeference(**(plain | changes))


def without_findings(plain: SfmReport) -> SfmReport:
    """The report of a flawless capture: every photo readable and placed."""
    capture = plain.capture.model_copy(update={"findings": []})
    photos = [photo for photo in plain.photos if photo.registered]
    shutter = plain.rolling_shutter.model_copy(update={"advice": None})
    return plain.model_copy(update={"capture": capture, "photos": photos, "rolling_shutter": shutter, "apart": []})


def page_of(made: SfmReport) -> str:
    return build_page(made, None, TOP_VIEW)


@pytest.mark.parametrize("name", ["gps", "no_gps", "control_points", "prior_model"])
def test_reports_of_before_become_a_page(name: str) -> None:
    page = page_of(report(name))
    tree = ElementTree.fromstring(page)  # noqa: S314 - our own page
    assert tree.tag == "section"
    assert "None" not in page
    assert ("Scale and place are not known" in page) == (name == "no_gps")
    assert ("Control points: 0.8 mm on the ground" in page) == (name == "control_points")


def test_the_gravest_finding_of_model_and_capture_comes_first() -> None:
    plain = without_findings(report())
    known = Finding(level=Verdict.GO, sentence="Known &c.")
    contradicted = Finding(level=Verdict.WARN, sentence="The height contradicts the model.")
    capture = plain.capture.model_copy(update={"findings": [known]})
    page = page_of(plain.model_copy(update={"capture": capture, "findings": [known, contradicted]}))
    assert page.index(contradicted.sentence) < page.index("Known &amp;c.")
    assert page.count("<li class") == 3
    assert NOTHING not in page


def test_nothing_to_complain_about_is_said_of_flawless_models_only() -> None:
    plain = without_findings(report())
    assert NOTHING in page_of(plain)
    not_metric = plain.georeference.model_copy(update={"metric": False, "metric_reason": "it is 18 m off"})
    page = page_of(plain.model_copy(update={"georeference": not_metric}))
    assert NOTHING not in page
    assert "Lengths may not be called metres: it is 18 m off." in page


def test_metres_come_with_their_uncertainty() -> None:
    exact = georeference(scale_uncertainty=0.004, uncertainty_m=0.48, extent_m=120.0)
    assert "Lengths are in metres, to ± 0.4% (± 48 cm over 120 m)." in page_of(report(georeference=exact))
    nadir = exact.model_copy(update={"height_uncertainty": 0.052})
    assert "(± 48 cm over 120 m); heights over the ground to ± 5.2%" in page_of(report(georeference=nadir))


def test_a_lens_has_its_source_and_what_became_of_it() -> None:
    camera = CameraReport(
        model="OPENCV", width=1600, height=1200, params=[], name="DJI FC330", photos=76, focal_source="exif",
        expected_focal_px=2222.0, focal_px=2340.0, focal_std=0.004, held=True, reason="enough views",
    )  # fmt: skip
    page = page_of(report(cameras=[camera]))
    for words in (
        "DJI FC330, 1600 × 1200",
        "OPENCV",
        "EXIF",
        "2,222",
        "2,340 ± 0.4% (+5.3%)",
        "focal length held",
        "enough",
    ):
        assert words in page
    assert "Lenses" not in page_of(report())


def test_up_has_its_sources_and_what_contradicts_them() -> None:
    evidence = [
        UpEvidenceReport(source="gimbal angles", angle_deg=0.2, sigma_deg=0.4, contradicted=False),
        UpEvidenceReport(source="plane of the points", angle_deg=0.4, sigma_deg=2.0, contradicted=False),
        UpEvidenceReport(source="positions", angle_deg=36.1, sigma_deg=3.0, contradicted=True),
    ]
    up = UpReport(sigma_deg=0.35, evidence=evidence, ground_tilt_deg=0.62)
    page = page_of(report(georeference=georeference(up=up)))
    for words in (
        "to ± 0.3°, from gimbal angles and plane of the points",
        "<dt>Up is contradicted by</dt><dd>positions, by 36.1°</dd>",
        "0.6°, as the plane that fits most points",
    ):
        assert words in page
    assert "contradicted" not in page_of(report(georeference=georeference(up=up.model_copy(update={"evidence": []}))))


def test_control_and_check_points_are_in_a_table() -> None:
    points = [
        ControlPointReport(
            name="c1", role="check", photos=4, east_m=0.03, north_m=-0.04, up_m=0.02, left_out=["b.jpg"]
        ),
        ControlPointReport(name="<g1>", photos=9, east_m=0.003, north_m=0.004, up_m=-0.001, reprojection_px=0.62),
        ControlPointReport(name="g2", photos=1, reason="fewer than two photos"),
    ]
    page = page_of(report(georeference=georeference(control_points=points)))
    assert page.index("&lt;g1&gt;") < page.index("c1")
    assert "Check points, which decided nothing: 5.0 cm on the ground, 2.0 cm in height (rms of 1)." in page
    for words in ("\N{MINUS SIGN}0.040", "+0.004", ">0.62<", "not used: fewer than two", "mark left out in b.jpg"):
        assert words in page


def shots(offsets: dict[str, tuple[float, float]]) -> Capture:
    """A row of photos 10 m from each other, each moved by an offset in metres."""
    photos = []
    for number, (name, (east, north)) in enumerate(offsets.items()):
        latitude = ORIGIN[0] + (10 * number + north) / DEGREE_M
        longitude = ORIGIN[1] + east / (DEGREE_M * np.cos(np.radians(ORIGIN[0])))
        taken_at = datetime(2026, 5, 1, 12, 0, number)
        photos.append(PhotoMetadata(name, "JPEG", 160, 90, position=(latitude, longitude, 100.0), taken_at=taken_at))
    qualities = {photo.name: ImageQuality(1.0, 0.5, 40.0, bytes([n] * 32)) for n, photo in enumerate(photos)}
    return assess_capture(photos, qualities, 0, 100)


def placed(name: str, east: float, north: float, outlier: str | None = None) -> PhotoReport:
    return PhotoReport(name=name, registered=True, reason=None, gps_offset_m=(east, north, 0.0), gps_outlier=outlier)


def test_arrows_lead_from_positions_to_the_model_on_one_scale() -> None:
    capture = shots(dict.fromkeys(("a", "b", "c", "d", "e", "f"), (0.0, 0.0)))
    reports = [placed(name, 0.2, 0.1) for name in "abcd"] + [placed("e", 0.2, 0.1, "it lags"), placed("f", 3.0, 0.0)]
    drawing = draw_map(capture, reports)
    assert drawing is not None
    tree = ElementTree.fromstring(drawing.svg())  # noqa: S314 - our own drawing
    arrows = {
        title.text: each.attrib
        for each in tree.iter("{http://www.w3.org/2000/svg}path")
        if (title := each.find("{http://www.w3.org/2000/svg}title")) is not None
    }
    assert arrows["a: 22 cm off its position"]["stroke"] == OFFSET
    assert arrows["e: 22 cm off its position, not used: it lags"]["stroke"] == OUTLIER
    assert arrows["f: 3.0 m off its position"]["stroke"] == OUTLIER
    across, down = arrows["a: 22 cm off its position"]["d"].split("l")[1].split("m")[0].split()
    assert float(across) == pytest.approx(-2 * float(down), abs=0.2), "east is right and north is up"
    assert any("times as long as it is" in words for _, mark, words in drawing.legend if mark == "→")
    assert "off</text>" in drawing.svg()


@given(st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40)), min_size=3, max_size=12))
def test_arrows_stay_on_the_map(offsets: list[tuple[float, float]]) -> None:
    names = [f"{number}.jpg" for number in range(len(offsets))]
    drawing = draw_map(
        shots(dict.fromkeys(names, (0.0, 0.0))),
        [placed(name, *offset) for name, offset in zip(names, offsets, strict=True)],
    )
    assert drawing is not None
    tree = ElementTree.fromstring(drawing.svg())  # noqa: S314 - our own drawing
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    for path in tree.iter("{http://www.w3.org/2000/svg}path"):
        if path.find("{http://www.w3.org/2000/svg}title") is None:
            continue
        begin, step = (part.split() for part in path.attrib["d"][1:].split("m")[0].split("l"))
        x, y = (float(start) + float(along) for start, along in zip(begin, step, strict=True))
        assert 0 <= x <= width
        assert 0 <= y <= height


def test_a_position_at_the_other_end_of_the_world_does_not_shrink_the_map() -> None:
    capture = shots({"a": (0.0, 0.0), "b": (0.0, 0.0), "c": (0.0, 0.0), "d": (0.0, 0.0), "<z>": (900_000.0, 0.0)})
    drawing = draw_map(capture)
    assert drawing is not None
    svg = drawing.svg()
    assert "<title>a</title>" in svg
    assert "<title>&lt;z&gt;</title>" not in svg
    assert "1 photo not on this map, by positions that cannot be right: &lt;z&gt;" in svg
    assert "5 m</text>" in svg


def test_control_and_check_points_stand_on_the_map() -> None:
    capture = shots({"a": (0.0, 0.0), "b": (0.0, 0.0)})
    here = (float(ORIGIN[0]), float(ORIGIN[1]), 5.0)
    points = [TaskControlPoint("g&1", here, [("a", 1.0, 2.0)]), TaskControlPoint("c1", here, [], check=True)]
    drawing = draw_map(capture, [], points)
    assert drawing is not None
    svg = drawing.svg()
    assert "<title>g&amp;1, control point, marked in 1 photo</title>" in svg
    assert "check point: it decided nothing" in svg


def test_control_points_stand_on_the_view_from_above() -> None:
    snapshot = Snapshot(["a"], np.array([[0.0, 0.0, 40.0]]), np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    points = [TaskControlPoint("a long name of a point", (50.0, -5.0, 5.0), [])]
    drawing = draw_top_view(snapshot, metric=True, control_points=points, places=np.array([[12.0, 5.0]]))
    assert ">a long name of a<" in drawing.svg()
    assert [mark for _, mark, _ in drawing.legend] == ["●", "▲"]


def test_offsets_are_from_positions_to_the_model() -> None:
    positions: dict[str, Position | None] = {
        "a": (50.0001, -5.0002, 120.0),
        "flat": (50.0002, -5.0001, None),
        "none": None,
    }
    rows = np.array([[50.0001, -5.0002, 120.0], [50.0002, -5.0001, 100.0], [50.0, -5.0, 100.0]])
    centres = to_enu(rows, ORIGIN) + np.array([[1.0, -2.0, 0.5], [3.0, 0.0, 9.0], [0.0, 0.0, 0.0]])
    snapshot = Snapshot(["a", "flat", "none"], centres, np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    offsets = offsets_from_positions(snapshot, positions, georeference())
    assert offsets.keys() == {"a", "flat"}
    assert offsets["a"] == pytest.approx((1.0, -2.0, 0.5), abs=1e-6)
    assert offsets["flat"][:2] == pytest.approx((3.0, 0.0), abs=1e-3)
    assert offsets["flat"][2] is None
    assert offsets_from_positions(snapshot, positions, georeference(aligned=False)) == {}


def test_offsets_of_a_prior_model_are_metres_east_and_north_all_the_same() -> None:
    into_enu = np.diag([2.0, 2.0, 2.0, 1.0])  # a unit of its frame is two metres
    to_ecef = (enu_to_ecef(ORIGIN) @ into_enu).tolist()
    snapshot = Snapshot(["a"], np.array([[3.0, 0.0, 1.0]]), np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    positions: dict[str, Position | None] = {"a": (50.0, -5.0, 100.0)}
    offsets = offsets_from_positions(snapshot, positions, georeference(to_ecef=to_ecef))
    assert offsets["a"] == pytest.approx((6.0, 0.0, 2.0), abs=1e-6)


def test_files_that_are_not_used_are_named_with_their_reason() -> None:
    plain = report()
    intake = plain.intake.model_copy(update={"left_out": {"DJI_1_MS_<b>.TIF": "it is a thermal picture"}})
    page = page_of(plain.model_copy(update={"intake": intake}))
    assert "1 other file not used" in page
    assert "DJI_1_MS_&lt;b&gt;.TIF" in page
    assert "it is a thermal picture" in page
    assert "other file" not in page_of(plain)

"""Photos share a camera where all that tells lenses apart is equal; what is known of its lens begins COLMAP's task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfm.cameras import assign_cameras
from services.sfm.messages import TaskCamera
from services.sfm.photo import LensCalibration, PhotoMetadata

PHOTO = PhotoMetadata("a.jpg", "JPEG", 4000, 3000, "DJI", "FC330", focal_mm=3.61, focal_35mm=20.0, focal_px=2311.0)
LENS = LensCalibration(2340.0, 2336.0, 12.0, -8.0, -0.25, 0.1, 0.001, -0.0005, -0.02, has_distortion=True)


def assign(photos: list[PhotoMetadata], size: tuple[int, int] = (2000, 1500)) -> tuple[list[int], list[TaskCamera]]:
    return assign_cameras(photos, [size] * len(photos))


@pytest.mark.parametrize(
    "change",
    [
        {"serial": "2"},
        {"model": "FC350"},
        {"lens_model": "tele"},
        {"focal_35mm": 48.0, "focal_px": 5546.0},  # a phone's lenses share their FocalLength
        {"digital_zoom": 2.0, "focal_px": 4622.0},
        {"width": 4000, "height": 2250},
        {"calibration": LENS},
        {"dewarped": True},
        {"video": "a.mp4"},
    ],
)
def test_what_tells_lenses_apart_makes_another_camera(change: dict[str, object]) -> None:
    numbers, cameras = assign([PHOTO, replace(PHOTO, **change), PHOTO])  # type: ignore[arg-type]
    assert numbers == [0, 1, 0]
    assert len(cameras) == 2


def test_a_few_photos_join_a_camera_with_nearly_their_focal_length() -> None:
    breathing = [replace(PHOTO, focal_mm=3.61 + 0.001 * k, focal_px=2311.0 + k) for k in range(10)]
    assert assign(breathing)[0] == [0] * 10
    zoomed = [replace(PHOTO, focal_mm=5.0 * 1.05**k, focal_px=3000 * 1.05**k) for k in range(5)]
    assert len(assign(zoomed)[1]) == 5


def test_two_bodies_without_numbers_are_told_apart_by_their_calibrations() -> None:
    one, other = replace(PHOTO, calibration=LENS), replace(PHOTO, calibration=replace(LENS, fx=2347.0))
    assert len(assign([one] * 20 + [other] * 20)[1]) == 2
    assert len(assign([replace(PHOTO, calibration=replace(LENS, fx=2340.0 + k / 10)) for k in range(40)])[1]) == 1


@given(st.lists(st.floats(1000, 4000), min_size=1, max_size=30))
def test_no_camera_has_photos_of_different_focal_lengths(focals: list[float]) -> None:
    photos = [replace(PHOTO, focal_px=focal, focal_mm=focal / 640) for focal in focals]
    numbers, cameras = assign(photos, (4000, 3000))
    for number, camera in enumerate(cameras):
        own = [focal for focal, each in zip(focals, numbers, strict=True) if each == number]
        assert max(own) <= 1.01 * min(own) + 1e-6
        assert min(own) * (1 - 1e-9) <= camera.params[0] <= max(own) * (1 + 1e-9)
    assert list(dict.fromkeys(numbers)) == list(range(len(cameras)))


def test_exif_begins_with_one_coefficient_and_its_own_uncertainty() -> None:
    (camera,) = assign([PHOTO])[1]
    assert (camera.model, camera.params, camera.source) == ("SIMPLE_RADIAL", [2311 / 2, 1000, 750, 0.0], "exif")
    assert camera.focal_std is not None and 0.02 < camera.focal_std < 0.03  # whole millimetres of 20
    (crop,) = assign([replace(PHOTO, height=2250)], (2000, 1125))[1]
    assert crop.focal_std is not None and crop.focal_std > camera.focal_std
    (unknown,) = assign([replace(PHOTO, focal_px=None)])[1]
    assert (unknown.params, unknown.source, unknown.focal_std) == ([], "unknown", None)


def test_a_calibrated_lens_distorts_as_its_maker_says() -> None:
    (camera,) = assign([replace(PHOTO, calibration=LENS)])[1]
    assert (camera.model, camera.source, camera.is_calibrated) == ("OPENCV", "calibration", True)
    fx, fy, cx, cy, k1, k2, p1, p2 = camera.params
    assert (fx, fy, cx, cy, p1, p2) == (1170.0, 1168.0, 1006.0, 746.0, 0.001, -0.0005)
    x, y = np.meshgrid(np.linspace(-0.8, 0.8, 9), np.linspace(-0.6, 0.6, 9))
    square = x * x + y * y
    maker = 1 + square * (LENS.k1 + square * (LENS.k2 + square * LENS.k3))
    assert np.abs(maker - 1 - square * (k1 + square * k2)).max() * 1170 < 3
    assert (camera.exif_focal, camera.focal_std) == (2311 / 2, 0.005)


def test_a_dewarped_photo_is_a_pinhole_s() -> None:
    (camera,) = assign([replace(PHOTO, calibration=LENS, dewarped=True)])[1]
    assert (camera.model, camera.params, camera.is_calibrated) == ("SIMPLE_PINHOLE", [1169.0, 1006.0, 746.0], True)


def test_a_calibration_without_distortion_is_a_design_s() -> None:
    lens = LensCalibration(2333.0, 2333.0, 0.0, 0.0)
    (camera,) = assign([replace(PHOTO, calibration=lens)])[1]
    assert (camera.model, camera.params, camera.is_calibrated) == ("SIMPLE_RADIAL", [1166.5, 1000, 750, 0.0], False)


@pytest.mark.parametrize(("film", "std"), [(20.0, 0.1), (40.0, 0.1)])
def test_an_unzoomed_photo_tells_whether_the_zoom_is_in_the_equivalent(film: float, std: float) -> None:
    zoomed = replace(PHOTO, digital_zoom=2.0, focal_35mm=film, focal_px=2311.0 * film / 20)
    _, cameras = assign([PHOTO, zoomed])
    assert [camera.params[0] for camera in cameras] == pytest.approx([2311 / 2, 2311])
    assert cameras[1].focal_std is not None and cameras[1].focal_std < std
    (alone,) = assign([zoomed])[1]
    assert alone.focal_std is not None and alone.focal_std > 0.3  # once or twice: nobody knows

"""A maker's calibration is scaled to the photo at hand, whoever resized it, and dropped where it cannot be its lens."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from services.sfm.photo import LensCalibration
from services.sfm.photos.calibration import RawCalibration, fit_calibration, fold_k3
from services.sfm.photos.exif import metadata_from_tags

FULL = (5472, 3648)
DEWARP = (3678.58, 3671.84, -10.29, 18.06, -0.265, 0.108, 4.1e-05, -0.00026, -0.033)
RAW = RawCalibration(3666.67, (2736.0, 1824.0), DEWARP)


def fit(stored: tuple[int, int], raw: RawCalibration = RAW, **known: Any) -> LensCalibration | None:
    return fit_calibration(raw, stored, known.get("exif_size"), known.get("exif_focal"), known.get("zoom", 1.0))


@given(st.integers(400, 5472), st.booleans())
def test_a_resized_photo_has_the_same_lens_in_fewer_pixels(width: int, exif_is_kept: bool) -> None:
    stored = (width, round(width * 2 / 3))
    lens = fit(stored, exif_size=FULL if exif_is_kept else stored)
    assert lens is not None
    scaled = [figure * width / FULL[0] for figure in DEWARP[:4]]
    assert [lens.fx, lens.fy, lens.cx, lens.cy] == pytest.approx(scaled, rel=2e-3)
    assert (lens.k1, lens.k2, lens.p1, lens.p2, lens.k3) == DEWARP[4:]


def test_without_a_centre_exif_says_what_the_full_size_was() -> None:
    raw = replace(RAW, centre=None)
    lens = fit((1368, 912), raw, exif_size=FULL)
    assert lens is not None and lens.fx == pytest.approx(DEWARP[0] / 4)
    assert fit((1368, 912), raw, exif_focal=912.0) is None  # nothing tells the size, and EXIF contradicts
    whole = fit(FULL, raw)
    assert whole is not None and whole.fx == DEWARP[0]


def test_a_centre_off_the_middle_does_not_change_the_size() -> None:
    lens = fit(FULL, replace(RAW, centre=(2736 + 40.3, 1824 - 30.2)))
    assert lens is not None and lens.fx == DEWARP[0]


def test_a_crop_keeps_the_focal_length() -> None:
    lens = fit((5472, 3078))  # 16:9
    assert lens is not None and (lens.fx, lens.cx) == (DEWARP[0], DEWARP[2])


def test_a_digital_zoom_enlarges_it() -> None:
    lens = fit(FULL, zoom=2.0, exif_focal=2 * 3648.0)
    assert lens is not None and (lens.fx, lens.cx, lens.k1) == (2 * DEWARP[0], 2 * DEWARP[2], DEWARP[4])


def test_turned_pixels_lose_what_has_a_direction() -> None:
    lens = fit((3648, 5472))
    assert lens is not None
    assert (lens.fx, lens.cx, lens.cy, lens.k1, lens.p1, lens.p2) == (DEWARP[0], 0, 0, DEWARP[4], 0, 0)


@pytest.mark.parametrize(
    "dewarp",
    [
        (0.0, 0.0, *DEWARP[2:]),
        (-3678.0, -3671.0, *DEWARP[2:]),
        (100.0, 100.0, *DEWARP[2:]),  # wider than any lens
        (3678.0, 1000.0, *DEWARP[2:]),  # no square pixels
        (*DEWARP[:2], 2000.0, 0.0, *DEWARP[4:]),  # centre in a corner
        (*DEWARP[:4], -3.0, *DEWARP[5:]),  # folds
        (*DEWARP[:4], 1e30, -1e30, *DEWARP[6:]),
        (*DEWARP[:6], 0.5, 0.0, 0.0),
        (3666.0 * 1.5, 3666.0 * 1.5, *DEWARP[2:]),  # far from EXIF's
    ],
)
def test_what_no_lens_is_like_is_dropped(dewarp: tuple[float, ...]) -> None:
    assert fit(FULL, replace(RAW, dewarp=dewarp), exif_focal=3648.0) is None


def test_a_focal_length_alone_is_a_lens_without_known_distortion() -> None:
    lens = fit((2736, 1824), replace(RAW, dewarp=None))
    assert lens is not None and not lens.has_distortion
    assert lens.fx == pytest.approx(3666.67 / 2)


@given(st.floats(-0.3, 0.1), st.floats(0.0, 0.1), st.floats(-0.05, 0.05))
def test_k3_is_folded_to_within_a_few_pixels(k1: float, k2: float, k3: float) -> None:
    lens = LensCalibration(3666.0, 3666.0, 0.0, 0.0, k1, k2, 0.0, 0.0, k3, has_distortion=True)
    folded = fold_k3(lens, FULL)
    radii = np.linspace(0, math.hypot(*FULL) / 2 / 3666, 100)
    exact = radii**3 * (k1 + k2 * radii**2 + k3 * radii**4)
    assert np.abs(exact - radii**3 * (folded[0] + folded[1] * radii**2)).max() * 3666 < 5
    if k3 == 0:
        assert folded == pytest.approx((k1, k2))


def packet(flag: int = 0) -> bytes:
    figures = ",".join(map(str, DEWARP))
    return f'''drone-dji:DewarpFlag="{flag}" drone-dji:CalibratedFocalLength="3666.67"
    drone-dji:CalibratedOpticalCenterX="2736.0" drone-dji:CalibratedOpticalCenterY="1824.0"
    drone-dji:DewarpData="2018-07-04;{figures}"'''.encode()


def tags(film: int, zoom: float = 1.0) -> Image.Exif:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.FocalLengthIn35mmFilm], details[ExifTags.Base.DigitalZoomRatio] = film, zoom
    details[ExifTags.Base.BodySerialNumber], details[ExifTags.Base.LensModel] = "12345", "24mm"
    return exif


def test_a_photo_gets_both_focal_lengths() -> None:
    photo = metadata_from_tags("a.jpg", "JPEG", FULL, lambda: tags(24), packet(1))
    assert photo.calibration is not None and photo.calibration.fx == DEWARP[0]
    assert photo.focal_px == pytest.approx(3648, rel=1e-3)
    assert (photo.focal_35mm, photo.digital_zoom) == (24.0, 1.0)
    assert (photo.serial, photo.lens_model, photo.dewarped) == ("12345", "24mm", True)
    assert photo.known_focal_px == pytest.approx((DEWARP[0] + DEWARP[1]) / 2)


@pytest.mark.parametrize("film", [24, 48])
def test_the_calibration_tells_whether_the_zoom_is_in_the_equivalent(film: int) -> None:
    photo = metadata_from_tags("a.jpg", "JPEG", FULL, lambda: tags(film, 2.0), packet())
    assert photo.focal_px == pytest.approx(2 * 3648, rel=1e-3)
    assert photo.calibration is not None and photo.calibration.fx == 2 * DEWARP[0]


def test_broken_exif_costs_only_the_exif() -> None:
    def broken() -> Image.Exif:
        raise ValueError

    photo = metadata_from_tags("a.jpg", "JPEG", FULL, broken, packet())
    assert photo.calibration is not None and photo.focal_px is None

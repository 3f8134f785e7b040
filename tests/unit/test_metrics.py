import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from spaceport.splats import metrics
from spaceport.splats.metrics import correct_colours, psnr, ssim


def picture(seed: int = 0, shape: tuple[int, int, int] = (40, 50, 3)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def test_psnr_of_a_known_error() -> None:
    a = np.full((4, 4, 3), 0.5)
    assert psnr(a, a + 0.1) == pytest.approx(20.0)
    assert psnr(a, a) == math.inf


def test_psnr_clips() -> None:
    assert psnr(np.full((2, 2, 3), 1.5), np.ones((2, 2, 3))) == math.inf


def test_ssim_of_equal_and_of_unrelated_pictures() -> None:
    assert ssim(picture(), picture()) == pytest.approx(1.0)
    assert ssim(picture(0), picture(1)) < 0.1


def test_ssim_needs_a_window() -> None:
    with pytest.raises(ValueError, match="11"):
        ssim(picture(shape=(10, 50, 3)), picture(shape=(10, 50, 3)))


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_sizes_must_agree(measure: Callable[[np.ndarray, np.ndarray], float]) -> None:
    with pytest.raises(ValueError, match="size"):
        measure(picture(), picture(shape=(40, 51, 3)))


def test_colour_correction_takes_away_an_affine_change() -> None:
    photo = picture() * 0.5 + 0.25
    mix = np.array([[0.8, 0.1, 0.0], [0.0, 0.7, 0.1], [0.1, 0.0, 0.9]])
    render = (photo @ mix + 0.03).astype(np.float32)
    assert psnr(render, photo) < 30
    assert psnr(correct_colours(render, photo), photo) > 100


def test_tall_pictures_are_measured_band_by_band_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    render, photo = picture(0, (150, 20, 3)), picture(1, (150, 20, 3)) * 0.5 + 0.2
    banded = psnr(render, photo), ssim(render, photo)
    corrected = correct_colours(render, photo)
    monkeypatch.setattr(metrics, "_BAND", 1000)
    assert banded == pytest.approx((psnr(render, photo), ssim(render, photo)))
    np.testing.assert_allclose(corrected, correct_colours(render, photo), rtol=1e-6)


def test_colour_correction_of_a_grey_picture() -> None:
    grey = np.repeat(picture()[:, :, :1], 3, axis=2)
    np.testing.assert_allclose(correct_colours(grey * 0.5, grey), grey, atol=1e-5)


def test_large_pictures_take_little_memory() -> None:
    render, photo = picture(0, (1500, 500, 3)), picture(1, (1500, 500, 3))
    tracemalloc.start()
    ssim(render, photo)
    psnr(render, photo)
    corrected = correct_colours(render, photo)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - corrected.nbytes < 20_000_000  # ten pictures in float64 are 180 MB

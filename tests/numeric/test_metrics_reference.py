import numpy as np
import pytest

skimage = pytest.importorskip("skimage.metrics", reason="scikit-image is the reference")

from spaceport.splats.cameras import Camera  # noqa: E402
from spaceport.splats.metrics import psnr, ssim  # noqa: E402
from spaceport.splats.render import SimdRasteriser  # noqa: E402


def pictures(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(height)
    y, x = np.mgrid[0:height, 0:width]
    a = 0.5 + 0.4 * np.sin(x[..., None] / (3, 5, 7) + y[..., None] / 9)
    return a.astype(np.float32), np.clip(a + 0.1 * rng.normal(size=a.shape), 0, 1).astype(np.float32)


def theirs(a: np.ndarray, b: np.ndarray) -> float:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(skimage.structural_similarity(a, b, channel_axis=2, **options))


@pytest.mark.parametrize("size", [(11, 11), (40, 57), (120, 90)])
def test_ssim_is_skimages(size: tuple[int, int]) -> None:
    a, b = pictures(*size)
    assert ssim(a, b) == pytest.approx(theirs(a, b), abs=1e-5)


def test_psnr_is_skimages() -> None:
    a, b = pictures(40, 57)
    expected = skimage.peak_signal_noise_ratio(a.astype(np.float64), b.astype(np.float64), data_range=1.0)
    assert psnr(a, b) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(11, 11), (40, 57), (120, 90)])
def test_the_loss_has_skimages_ssim(size: tuple[int, int], threads: int) -> None:
    height, width = size
    rng = np.random.default_rng(0)
    shapes = {"means": (200, 3), "quats": (200, 4), "scales": (200, 3), "opacities": (200,), "sh0": (200, 1, 3)}
    params = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    params |= {"scales": 0.1 * params["scales"] - 1.5, "shN": np.zeros((200, 0, 3), np.float32)}
    pose = np.eye(4)
    pose[2, 3] = 4
    camera = Camera("a", width, height, width, width, width / 2, height / 2, pose)
    photo = pictures(height, width)[1]
    result = SimdRasteriser(threads).loss_and_grads(params, camera, photo, ssim_weight=1.0)
    assert 1 - result.loss == pytest.approx(theirs(result.image, photo), abs=1e-5)

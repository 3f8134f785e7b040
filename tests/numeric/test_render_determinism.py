import numpy as np
import pytest

from spaceport.splats.cameras import Camera
from spaceport.splats.render import LossAndGrads, SimdRasteriser


def model(n: int = 3000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    shapes = {
        "means": (n, 3),
        "quats": (n, 4),
        "scales": (n, 3),
        "opacities": (n,),
        "sh0": (n, 1, 3),
        "shN": (n, 15, 3),
    }
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    arrays["scales"] = 0.3 * arrays["scales"] - 2.5
    return arrays


def camera() -> Camera:
    pose = np.eye(4)
    pose[2, 3] = 5
    return Camera("a", 150, 113, 150, 150, 75, 56, pose)


def loss_and_grads(threads: int) -> LossAndGrads:
    photo = np.random.default_rng(1).random((113, 150, 3), dtype=np.float32)
    exposure = (np.array([1.1, 0.9, 1], np.float32), np.array([0.1, 0, -0.1], np.float32))
    return SimdRasteriser(threads).loss_and_grads(model(), camera(), photo, exposure=exposure)


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 64])
def test_equal_bit_for_bit_with_equal_threads(threads: int) -> None:
    first, second = loss_and_grads(threads), loss_and_grads(threads)
    assert first.loss == second.loss
    for name, grads in first.grads.items():
        np.testing.assert_array_equal(grads, second.grads[name], err_msg=name)


@pytest.mark.parametrize("threads", [2, 3, 8, 64])
def test_threads_change_only_the_order_of_sums(threads: int) -> None:
    one, many = loss_and_grads(1), loss_and_grads(threads)
    np.testing.assert_array_equal(one.image, many.image)
    assert one.loss == many.loss
    np.testing.assert_array_equal(one.gaussian_ids, many.gaussian_ids)
    for name, grads in one.grads.items():
        distance = np.linalg.norm(grads - many.grads[name])
        assert distance <= 1e-5 * np.linalg.norm(grads), name

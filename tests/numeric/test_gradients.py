"""Loss, picture and every gradient against the dense float64 oracle."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the oracle differentiates with torch")
sys.path.insert(0, str(Path(__file__).parent))
import dense_oracle  # noqa: E402

from spaceport.splats.cameras import Camera  # noqa: E402
from spaceport.splats.render import SimdRasteriser  # noqa: E402

GAIN, BIAS = np.array([1.1, 0.9, 1.05], np.float32), np.array([0.02, -0.03, 0.01], np.float32)
GROUND = (0.2, 0.3, 0.4)


def scene(n: int = 300) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    arrays = {
        "means": rng.uniform(-1.3, 1.3, size=(n, 3)) * (1.4, 1, 1),
        "quats": rng.normal(size=(n, 4)),
        "scales": 0.3 * rng.normal(size=(n, 3)) - 2.2,
        "opacities": rng.normal(size=n) - 1,
        "sh0": 0.5 * rng.normal(size=(n, 1, 3)),
        "shN": 0.1 * rng.normal(size=(n, 15, 3)),
    }
    arrays["opacities"][:3] = 9  # alpha is clamped at their centres
    arrays["sh0"][3:9] = -3  # their colours are clamped at zero
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def camera(focal: float = 70.0) -> Camera:
    c, s = np.cos(0.4), np.sin(0.4)
    pose = np.array([[c, 0, s, 0.1], [0, 1, 0, -0.1], [-s, 0, c, 4], [0, 0, 0, 1]])
    return Camera("a", 70, 53, focal, 1.1 * focal, 33, 27.5, pose)


def photo() -> np.ndarray:
    return np.random.default_rng(1).random((53, 70, 3), dtype=np.float32)


@pytest.mark.parametrize(("degree", "threads", "ssim_weight", "focal", "antialiased"), [
    (3, 1, 0.2, 70.0, False),
    (3, 2, 0.2, 70.0, False),
    (2, 1, 1.0, 70.0, False),
    (1, 1, 0.0, 70.0, False),
    (0, 3, 0.2, 70.0, False),
    (3, 1, 0.2, 250.0, False),  # many centres outside of the picture, where the Jacobian is clamped
    (3, 2, 0.2, 70.0, True),
    (1, 1, 0.2, 12.0, True),  # most are thinner than a pixel
])  # fmt: skip
def test_against_the_oracle(degree: int, threads: int, ssim_weight: float, focal: float, antialiased: bool) -> None:
    params, rasteriser = scene(), SimdRasteriser(threads, antialiased)
    leaves = dense_oracle.tensors(params)
    gain, bias = (torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in (GAIN, BIAS))
    picture = dense_oracle.render(leaves, camera(focal), degree, GROUND, antialiased)
    loss = dense_oracle.loss(picture * gain + bias, photo(), ssim_weight)
    loss.backward()
    result = rasteriser.loss_and_grads(params, camera(focal), photo(), degree, ssim_weight, (GAIN, BIAS), GROUND)

    assert result.loss == pytest.approx(loss.item(), abs=1e-6)
    np.testing.assert_allclose(result.image, picture.detach().numpy(), atol=1e-4)
    expected = {name: leaf.grad for name, leaf in leaves.items()} | {"gain": gain.grad, "bias": bias.grad}
    for name, grad in expected.items():
        truth = np.zeros_like(result.grads[name]) if grad is None else grad.numpy()
        distance = np.linalg.norm(result.grads[name] - truth)
        assert distance <= 1e-4 * np.linalg.norm(truth), (name, distance / np.linalg.norm(truth))


def test_without_exposure_there_is_no_gradient_of_it() -> None:
    result = SimdRasteriser(1).loss_and_grads(scene(), camera(), photo())
    assert set(result.grads) == set(scene())


def test_the_loss_falls_along_the_gradient() -> None:
    params, rasteriser = scene(), SimdRasteriser(1)
    losses = []
    for _ in range(25):
        result = rasteriser.loss_and_grads(params, camera(), photo())
        losses.append(result.loss)
        params = {name: array - 20 * result.grads[name] for name, array in params.items()}
    assert losses[-1] < losses[0] - 0.005
    assert losses == sorted(losses, reverse=True)

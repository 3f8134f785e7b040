import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="gsplat's reference is written in torch")
reference = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is the reference")

from spaceport.splats import sh  # noqa: E402


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_evaluate_is_gsplats(degree: int) -> None:
    rng = np.random.default_rng(0)
    directions, coefficients = rng.normal(size=(200, 3)), rng.normal(size=(200, 16, 3))
    theirs = reference._spherical_harmonics(degree, torch.tensor(directions), torch.tensor(coefficients))
    np.testing.assert_allclose(
        sh.evaluate(directions, coefficients, degree), np.maximum(theirs.numpy() + 0.5, 0), atol=1e-6
    )

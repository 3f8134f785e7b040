from typing import Any

import numpy as np
import pytest

from spaceport.splats.model import Gaussians


def arrays(n: int = 5, rest: int = 8) -> dict[str, Any]:
    shapes = {
        "means": (n, 3),
        "quats": (n, 4),
        "scales": (n, 3),
        "opacities": (n,),
        "sh0": (n, 1, 3),
        "shN": (n, rest, 3),
    }
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(("rest", "degree"), [(0, 0), (3, 1), (8, 2), (15, 3)])
def test_degree_follows_the_coefficients(rest: int, degree: int) -> None:
    assert Gaussians(**arrays(rest=rest)).sh_degree == degree


def test_arrays_become_contiguous_float32() -> None:
    fields = arrays()
    fields["means"] = fields["means"].T.copy().T
    gaussians = Gaussians(**fields)
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in gaussians.arrays().values())
    assert len(gaussians) == 5


def test_subset_by_mask_and_by_index() -> None:
    gaussians = Gaussians(**arrays())
    mask = np.array([True, False, True, False, False])
    np.testing.assert_array_equal(gaussians.subset(mask).shN, gaussians.shN[[0, 2]])
    np.testing.assert_array_equal(gaussians.subset(np.array([4, 0])).means, gaussians.means[[4, 0]])


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "sh0", "shN"])
def test_wrong_shapes_are_refused(name: str) -> None:
    fields = arrays()
    fields[name] = fields[name][:4] if name != "means" else fields[name][:, :2]
    with pytest.raises(ValueError, match="must be"):
        Gaussians(**fields)


def test_an_odd_number_of_coefficients_is_refused() -> None:
    with pytest.raises(ValueError, match="shN"):
        Gaussians(**arrays(rest=7))

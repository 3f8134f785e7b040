import numpy as np
import pytest

from spaceport.splats import sh


def directions(n: int) -> np.ndarray:
    d = np.random.default_rng(1).normal(size=(n, 3))
    return np.asarray(d / np.linalg.norm(d, axis=1, keepdims=True))


def test_the_basis_is_orthonormal() -> None:
    # Gauss-Legendre in z times equal steps around z integrates these polynomials exactly.
    z, wz = np.polynomial.legendre.leggauss(8)
    phi = np.arange(16) * (2 * np.pi / 16)
    zz, pp = np.meshgrid(z, phi, indexing="ij")
    r = np.sqrt(1 - zz**2)
    values = sh.basis(np.stack([r * np.cos(pp), r * np.sin(pp), zz], -1), 3)
    gram = np.einsum("ijk,ijl,i->kl", values, values, wz) * (2 * np.pi / 16)
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-12)


def test_a_degree_is_the_beginning_of_the_next() -> None:
    d = directions(5)
    for degree in range(3):
        np.testing.assert_array_equal(sh.basis(d, degree), sh.basis(d, 3)[:, : (degree + 1) ** 2])


def test_from_rgb_is_what_evaluate_shows() -> None:
    rgb = np.random.default_rng(2).random((6, 3))
    colours = sh.evaluate(5 * directions(6), sh.from_rgb(rgb)[:, None, :], 0)
    np.testing.assert_allclose(colours, rgb)


def test_colours_are_never_negative() -> None:
    assert sh.evaluate(directions(4), np.full((4, 16, 3), -9.0), 0).max() == 0


def test_odd_degrees_are_refused() -> None:
    with pytest.raises(ValueError, match="degree"):
        sh.coefficients(4)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_sizes_and_degrees_belong_to_each_other(degree: int) -> None:
    assert sh.SHN_SIZES[degree] == sh.coefficients(degree) - 1
    assert sh.degree_of_size(sh.SHN_SIZES[degree]) == degree


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="coefficients"):
        sh.degree_of_size(4)

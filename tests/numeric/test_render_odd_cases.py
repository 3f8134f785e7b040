"""Cases beside the usual: nothing in view, odd sizes, hostile numbers."""

import numpy as np
import pytest
from random_models import gaussians

from spaceport.splats.cameras import Camera
from spaceport.splats.render import LossAndGrads, SimdRasteriser, render

Arrays = dict[str, np.ndarray]


def some(n: int, seed: int = 0, rest: int = 15) -> Arrays:
    rng = np.random.default_rng(seed)
    shapes = {"means": (n, 3), "quats": (n, 4), "scales": (n, 3), "opacities": (n,), "sh0": (n, 1, 3)}
    arrays = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    arrays["scales"] = 0.3 * arrays["scales"] - 2.5
    arrays["shN"] = 0.1 * rng.normal(size=(n, rest, 3))
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def camera(width: int = 70, height: int = 53, distance: float = 4.0) -> Camera:
    pose = np.eye(4)
    pose[2, 3] = distance
    return Camera("a", width, height, width, width, width / 2, height / 2, pose)


def photo(width: int = 70, height: int = 53) -> np.ndarray:
    return np.random.default_rng(1).random((height, width, 3), dtype=np.float32)


def assert_finite(result: LossAndGrads) -> None:
    assert np.isfinite(result.loss)
    assert np.isfinite(result.image).all()
    for name, grads in result.grads.items():
        assert np.isfinite(grads).all(), name


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n", [0, 40])
def test_nothing_in_view(n: int, threads: int) -> None:
    away = camera(distance=-50)
    rasteriser = SimdRasteriser(threads)
    picture = rasteriser.render(some(n), away, background=(0.25, 0.5, 1.0))
    np.testing.assert_array_equal(picture, np.broadcast_to(np.array([0.25, 0.5, 1.0], np.float32), (53, 70, 3)))
    result = rasteriser.loss_and_grads(some(n), away, photo())
    assert not result.visible.any()
    assert len(result.gaussian_ids) == 0
    assert all(not grads.any() for grads in result.grads.values())
    assert_finite(result)


def test_a_single_gaussian_is_a_gaussian() -> None:
    one = {name: array[:1] for name, array in some(1, rest=0).items()}
    one["means"][:] = 0
    one["quats"][:] = [2, 0, 0, 0]
    one["scales"][:] = np.log(0.2)
    one["opacities"][:] = 0
    one["sh0"][:] = 0
    picture = render(gaussians(**one), camera(), threads=1)
    variance = (0.2 * 70 / 4) ** 2 + 0.3
    y, x = np.mgrid[0:53, 0:70] + 0.5
    alpha = 0.5 * np.exp(-0.5 * ((x - 35) ** 2 + (y - 26.5) ** 2) / variance)
    expected = np.where(alpha >= 1 / 255, alpha, 0) * 0.5
    np.testing.assert_allclose(picture, np.repeat(expected[..., None], 3, axis=2), atol=2e-6)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 15), (5, 200), (200, 5), (33, 47), (11, 11), (10, 11)])
def test_any_size_equals_a_window_of_a_larger_picture(size: tuple[int, int]) -> None:
    width, height = size
    model = some(60)
    large = Camera("a", 256, 256, 70, 70, 30, 20, camera().world_to_camera)
    small = Camera("a", width, height, 70, 70, 30, 20, camera().world_to_camera)
    # The Jacobian's clamp depends on the picture's size: keep every mean well inside of both.
    model["means"] *= 0.05
    rasteriser = SimdRasteriser(2)
    whole = rasteriser.render(model, large)[:height, :width]
    np.testing.assert_allclose(rasteriser.render(model, small), whole, atol=1e-5)
    assert_finite(rasteriser.loss_and_grads(model, small, photo(width, height)))


def test_those_behind_the_camera_do_not_count() -> None:
    model = some(80)
    model["means"][:, 2] *= 6
    in_front = model["means"][:, 2] + 4 > 0.01
    assert 0 < in_front.sum() < 80
    kept = {name: np.ascontiguousarray(array[in_front]) for name, array in model.items()}
    rasteriser = SimdRasteriser(1)
    np.testing.assert_array_equal(rasteriser.render(model, camera()), rasteriser.render(kept, camera()))
    result = rasteriser.loss_and_grads(model, camera(), photo())
    assert not result.visible[~in_front].any()
    assert not result.grads["means"][~in_front].any()


def test_a_huge_one_covers_everything() -> None:
    one = {name: array[:1] for name, array in some(1).items()}
    one["means"][:] = 0
    one["scales"][:] = np.log(1e4)
    one["opacities"][:] = 3
    one["shN"][:] = 0
    one["sh0"][:] = 1
    result = SimdRasteriser(2).loss_and_grads(one, camera(distance=400), photo())
    assert result.image.min() > 0.6
    assert_finite(result)


HOSTILE = [np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38]


@pytest.mark.parametrize("bad", HOSTILE)
@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities"])
def test_hostile_shapes_never_poison_the_others(name: str, bad: float) -> None:
    model = some(50)
    model[name][7] = bad
    rasteriser = SimdRasteriser(1)
    result = rasteriser.loss_and_grads(model, camera(), photo())
    assert np.isfinite(result.image).all()
    others = np.arange(50) != 7
    for key in ("means", "quats", "scales", "opacities", "sh0", "shN"):
        assert np.isfinite(result.grads[key][others]).all(), key


def test_zero_quaternions_and_opaque_and_empty_ones() -> None:
    model = some(50)
    model["quats"][3] = 0
    model["opacities"][4] = 100
    model["opacities"][5] = -100
    model["scales"][6] = -100
    result = SimdRasteriser(1).loss_and_grads(model, camera(), photo())
    assert not result.visible[3]
    assert not result.visible[5]
    assert_finite(result)


def test_rows_of_the_invisible_stay_zero_between_calls() -> None:
    model, rasteriser = some(300), SimdRasteriser(2)
    aside = np.eye(4)
    aside[:3, 3] = (2.5, 0, 4)
    views = [camera(), Camera("b", 70, 53, 70, 70, 35, 26.5, aside), camera(distance=-50), camera()]
    for degree, view in enumerate([*views, *views]):
        result = rasteriser.loss_and_grads(model, view, photo(), sh_degree=(3, 3, 1, 0, 2, 1, 3, 0)[degree])
        fresh = SimdRasteriser(2).loss_and_grads(model, view, photo(), sh_degree=(3, 3, 1, 0, 2, 1, 3, 0)[degree])
        assert sorted(result.gaussian_ids) == np.flatnonzero(result.visible).tolist()
        np.testing.assert_array_equal(result.means2d_grads, fresh.means2d_grads)
        for name, grads in result.grads.items():
            np.testing.assert_array_equal(grads, fresh.grads[name], err_msg=name)


def test_wrong_arrays_are_refused() -> None:
    rasteriser = SimdRasteriser(1)
    with pytest.raises(ValueError, match="means"):
        rasteriser.render(some(5) | {"means": np.zeros((5, 3))}, camera())
    with pytest.raises(ValueError, match="quats"):
        rasteriser.render(some(5) | {"quats": np.zeros((4, 4), np.float32)}, camera())
    with pytest.raises(ValueError, match="coefficients"):
        rasteriser.render(some(5) | {"shN": np.zeros((5, 4, 3), np.float32)}, camera())
    with pytest.raises(ValueError, match="photo"):
        rasteriser.loss_and_grads(some(5), camera(), photo(71))
    with pytest.raises(ValueError, match="thread"):
        SimdRasteriser(0)


def test_results_cannot_be_changed_by_mistake() -> None:
    result = SimdRasteriser(1).loss_and_grads(some(5), camera(), photo())
    with pytest.raises(ValueError, match="read-only"):
        result.grads["means"] += 1


def test_too_large_pictures_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(ValueError, match="larger than"):
        SimdRasteriser(1).render(some(5), camera(60_000, 60_000))


@pytest.mark.parametrize("threads", [1, 2])
def test_models_that_cover_too_many_tiles_are_refused(threads: int) -> None:
    n = 270_000
    model = {name: np.repeat(array, n, axis=0) for name, array in some(1, rest=0).items()}
    model["means"][:] = 0
    model["scales"][:] = np.log(200)
    model["opacities"][:] = 0
    wide = Camera("a", 65_536, 16, 1000, 1000, 32_768, 8, camera().world_to_camera)
    with pytest.raises(ValueError, match="more tiles"):
        SimdRasteriser(threads).render(model, wide)


def test_sizes_may_change_from_call_to_call() -> None:
    model, rasteriser = some(60), SimdRasteriser(2)
    for side in (30, 70, 45, 30, 90, 120, 17, 30):
        fresh = SimdRasteriser(2).loss_and_grads(model, camera(side, side), photo(side, side))
        result = rasteriser.loss_and_grads(model, camera(side, side), photo(side, side))
        assert result.loss == fresh.loss
        np.testing.assert_array_equal(result.grads["means"], fresh.grads["means"])
        model = {name: array[: len(array) - 3] for name, array in model.items()}

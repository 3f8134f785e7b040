"""Projection and colour of every record against gsplat's torch reference."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="gsplat's reference is written in torch")
reference = pytest.importorskip("gsplat.cuda._torch_impl", reason="gsplat is the reference")

from spaceport.splats.cameras import Camera  # noqa: E402
from spaceport.splats.render import record  # noqa: E402
from spaceport.splats.render.buffers import ModelBuffers  # noqa: E402
from spaceport.splats.render.colour import SCRATCH  # noqa: E402
from spaceport.splats.render.interface import to_parameters  # noqa: E402
from spaceport.splats.render.kernel_arguments import Part  # noqa: E402
from spaceport.splats.render.packed_camera import pack_camera  # noqa: E402
from spaceport.splats.render.project import project  # noqa: E402
from spaceport.splats.render.tiles import TILE_SIZE  # noqa: E402


def scene(n: int = 1003) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    arrays = {
        "means": 2 * rng.normal(size=(n, 3)),
        "quats": rng.normal(size=(n, 4)),
        "scales": 0.8 * rng.normal(size=(n, 3)) - 2.5,
        "opacities": 2 * rng.normal(size=n),
        "sh0": rng.normal(size=(n, 1, 3)),
        "shN": 0.3 * rng.normal(size=(n, 15, 3)),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def camera() -> Camera:
    q, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    pose = np.eye(4)
    pose[:3, :3] = q * np.sign(np.linalg.det(q))
    pose[:3, 3] = (0.3, -0.2, 5)
    return Camera("a", 321, 243, 300, 310, 150, 130, pose)


def projected(
    params: dict[str, np.ndarray], degree: int, antialiased: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the visible, their records [M, 16], radii [N]."""
    n = len(params["means"])
    projection = ModelBuffers(n, 1).projection
    packed_camera, scratch = pack_camera(camera(), antialiased), np.empty(SCRATCH, np.float32)
    tile_counts = np.empty((-(-camera().height // TILE_SIZE) + 1, -(-camera().width // TILE_SIZE) + 1), np.int32)
    count = project(to_parameters(params), degree, packed_camera, Part(0, n, 0), projection, tile_counts, scratch)
    records = projection.records[: count * record.SIZE].reshape(count, record.SIZE)
    return projection.rows[:count], records, projection.radii[:n]


def truth(params: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """gsplat's centres [N, 2], depths [N], conics [N, 3] and compensations of opacity [N], in float64."""
    values = {name: torch.tensor(array, dtype=torch.float64) for name, array in params.items()}
    view = camera()
    matrix = torch.tensor([[view.fx, 0, view.cx], [0, view.fy, view.cy], [0, 0, 1]], dtype=torch.float64)
    covariances, _ = reference._quat_scale_to_covar_preci(values["quats"], values["scales"].exp(), True, False)
    _, *projected_by_gsplat = reference._fully_fused_projection(
        values["means"],
        covariances,
        torch.tensor(view.world_to_camera)[None],
        matrix[None],
        view.width,
        view.height,
        calc_compensations=True,
    )
    return tuple(part[0].numpy() for part in projected_by_gsplat)


def assert_close(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-5) -> None:
    """Within `tolerance` of the largest part of each row."""
    size = np.abs(theirs).reshape(len(theirs), -1).max(axis=1)
    error = np.abs(ours - theirs).reshape(len(theirs), -1).max(axis=1)
    assert (error <= tolerance * np.maximum(size, 1)).all(), (error / np.maximum(size, 1)).max()


def test_centres_depths_and_conics() -> None:
    params = scene()
    rows, records, _ = projected(params, 0)
    assert len(rows) > 300
    centres, depths, conics, _ = truth(params)
    assert_close(records[:, [record.MEAN_X, record.MEAN_Y]], centres[rows])
    assert_close(records[:, record.DEPTH], depths[rows])
    shape = records[:, [record.CONIC_XX, record.CONIC_XY, record.CONIC_YY]] * -np.log(2)
    size = np.abs(conics[rows]).max(axis=1, keepdims=True)
    assert_close(shape / size, conics[rows] / size)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours(degree: int) -> None:
    params = scene()
    rows, records, _ = projected(params, degree)
    directions = torch.tensor(params["means"][rows].astype(np.float64) - camera().position)
    coefficients = torch.tensor(np.concatenate([params["sh0"], params["shN"]], axis=1)[rows].astype(np.float64))
    sh = reference._spherical_harmonics(degree, directions, coefficients[:, : (degree + 1) ** 2])
    expected = torch.clamp_min(sh + 0.5, 0).numpy()
    assert_close(records[:, [record.RED, record.GREEN, record.BLUE]], expected)


def test_opacity_and_footprint() -> None:
    params = scene()
    rows, records, radii = projected(params, 0)
    _, _, conics, _ = truth(params)
    opacity = 1 / (1 + np.exp(-params["opacities"][rows].astype(np.float64)))
    np.testing.assert_allclose(2.0 ** records[:, record.LOG2_OPACITY], opacity, rtol=2e-6)
    a, b, c = conics[rows].T
    margin = 2 * np.log(255 * opacity)
    deep = margin > 1e-2  # an ellipse about to vanish has no steady size
    reach_x, reach_y = np.sqrt(margin * c / (a * c - b * b)), np.sqrt(margin * a / (a * c - b * b))
    np.testing.assert_allclose(records[deep, record.RADIUS_X], reach_x[deep], rtol=1e-4)
    np.testing.assert_allclose(radii[rows][deep], np.maximum(reach_x, reach_y)[deep], rtol=1e-4)


def test_antialiased_opacity() -> None:
    params = scene()
    rows, records, _ = projected(params, 0, antialiased=True)
    assert len(rows) > 300
    *_, compensations = truth(params)
    opacity = compensations[rows] / (1 + np.exp(-params["opacities"][rows].astype(np.float64)))
    assert opacity.min() < 0.7 * opacity.max()
    np.testing.assert_allclose(2.0 ** records[:, record.LOG2_OPACITY], opacity, rtol=1e-5)


def test_no_gaussian_that_intersects_the_picture_is_left_out() -> None:
    params = scene()
    rows, _, radii = projected(params, 0)
    centres, depths, conics, _ = truth(params)
    a, b, c = conics.T
    opacity = 1 / (1 + np.exp(-params["opacities"].astype(np.float64)))
    margin = np.maximum(2 * np.log(255 * opacity), 0) - 1e-3
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = np.stack([np.sqrt(margin * c / (a * c - b * b)), np.sqrt(margin * a / (a * c - b * b))], axis=1)
    size = np.array([camera().width, camera().height])
    met = (depths > 0.01) & (margin > 0) & (centres + reach > 0.5).all(1) & (centres - reach < size - 0.5).all(1)
    assert set(np.flatnonzero(met)) <= set(rows.tolist())
    np.testing.assert_array_equal(np.flatnonzero(radii), rows)

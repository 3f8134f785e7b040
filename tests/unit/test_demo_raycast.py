"""The ray caster: views of one point agree, rays hit solids where geometry says, textures hold no fine detail."""

import numpy as np
import pytest

from spaceport.demo.flight import plan_flight
from spaceport.demo.hits import FAR, solid_hit
from spaceport.demo.lens import Lens
from spaceport.demo.raycast import cast_photo
from spaceport.demo.scene import Scene, make_scene
from spaceport.demo.solids import MAX_FACES, Material, Paint, Solid, box, gabled_house, prism, pyramid
from spaceport.demo.terrain import height_at
from spaceport.demo.textures import fbm2, stripes
from spaceport.demo.vec import Vec

PAINT = Paint(Material.PLAIN, (0.3, 0.3, 0.3))
LENS = Lens(256, 192)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(7)


def _photo(scene: Scene, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pixels, depth = cast_photo(scene, pose, LENS)
    return pixels.astype(float), depth


def _points(pose: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """[H, W, 3]: where in the world each pixel looks."""
    column, row = np.meshgrid(np.arange(LENS.width) + 0.5, np.arange(LENS.height) + 0.5)
    cx, cy = LENS.centre
    rays = np.stack([(column - cx) / LENS.focal, (row - cy) / LENS.focal, np.ones_like(row)], -1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return np.asarray((rays * depth[..., None] - pose[:3, 3]) @ pose[:3, :3])


def _project(pose: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image points [..., 2] and distances [...]."""
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    return seen[..., :2] / seen[..., 2:] * LENS.focal + LENS.centre, np.linalg.norm(seen, axis=-1)


def _bilinear(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    x, y = at[:, 0] - 0.5, at[:, 1] - 0.5
    i, j = x.astype(int), y.astype(int)
    a, b = (x - i)[:, None], (y - j)[:, None]
    low = image[j, i] * (1 - a) + image[j, i + 1] * a
    return np.asarray(low * (1 - b) + (image[j + 1, i] * (1 - a) + image[j + 1, i + 1] * a) * b)


@pytest.mark.parametrize(("first", "second"), [(7, 8), (5, 14), (0, 7)])
def test_two_photos_agree_on_the_colour_of_every_point_that_both_see(scene: Scene, first: int, second: int) -> None:
    shots = plan_flight(18, LENS, 7)
    one, two = shots[first].world_to_camera, shots[second].world_to_camera
    (pixels, depth), (others, other_depth) = _photo(scene, one), _photo(scene, two)
    points = _points(one, depth).reshape(-1, 3)
    at, distance = _project(two, points)
    inside = np.all((at > 2) & (at < np.array([LENS.width, LENS.height]) - 2), axis=1)
    there = _bilinear(other_depth[..., None], at[inside])[:, 0]
    both = np.abs(there - distance[inside]) < 0.01 * distance[inside]  # else something stands between
    assert both.sum() > 4000
    error = np.abs(pixels.reshape(-1, 3)[inside][both] - _bilinear(others, at[inside][both]))
    assert np.median(error) < 4
    assert error.mean() < 8
    shifted = np.abs(pixels.reshape(-1, 3)[inside][both] - _bilinear(others, at[inside][both] - [2.0, 1.0]))
    assert error.mean() < 0.75 * shifted.mean()  # and not because everything has one colour


def test_the_ground_is_met_where_it_lies(scene: Scene) -> None:
    pose = plan_flight(18, LENS, 7)[9].world_to_camera
    _, depth = _photo(scene, pose)
    points = _points(pose, depth).reshape(-1, 3)
    above = np.array([z - height_at(scene.heights, x, y) for x, y, z in points[::7]])
    assert above.min() > -0.01
    assert np.mean(np.abs(above) < 0.005) > 0.5  # the rest are roofs and trees
    assert above.max() > 2


def _met(solid: Solid, origin: Vec, ray: Vec) -> float:
    rows = np.zeros((MAX_FACES, 17))
    face_rows = solid.face_rows()
    rows[: len(face_rows)] = face_rows
    return solid_hit(rows, len(face_rows), origin, ray)[0]


def test_rays_meet_solids_at_known_distances() -> None:
    crate = box((4.0, 2.0, 3.0), PAINT, PAINT).place(10.0, 0.0, 1.0, 90.0)
    assert _met(crate, (0.0, 0.0, 2.0), (1.0, 0.0, 0.0)) == pytest.approx(9.0)
    assert _met(crate, (10.0, 0.0, 20.0), (0.0, 0.0, -1.0)) == pytest.approx(16.0)
    assert _met(crate, (0.0, 0.0, 4.1), (1.0, 0.0, 0.0)) == FAR
    assert _met(crate, (0.0, 0.0, 2.0), (-1.0, 0.0, 0.0)) == FAR
    house = gabled_house((8.0, 6.0, 3.0), 2.0, PAINT, PAINT)[0]
    assert _met(house, (0.0, 1.5, 10.0), (0.0, 0.0, -1.0)) == pytest.approx(10.0 - 4.0 + 0.06, abs=1e-6)


@pytest.mark.parametrize("solid", [box((2, 3, 4), PAINT, PAINT), pyramid(4, 4, 0, 3, PAINT), prism(1, 0, 2, PAINT)])
def test_a_solids_sphere_holds_its_corners(solid: Solid) -> None:
    sphere = solid.place(5, -3, 2, 33).sphere()
    corners = np.array(solid.place(5, -3, 2, 33)._corners())
    assert np.all(np.linalg.norm(corners - sphere[:3], axis=1) <= sphere[3])
    assert np.isfinite(sphere).all()


def test_textures_fade_to_their_mean_before_they_alias() -> None:
    rng = np.random.default_rng(0)
    sharp = np.std([fbm2(x, y, 6, 0.8, 0.01, 1) for x, y in rng.uniform(0, 50, (400, 2))])
    assert sharp > 0.2
    assert all(fbm2(x, y, 6, 0.8, 0.6, 1) == 0 for x, y in rng.uniform(0, 50, (50, 2)))
    assert np.mean([stripes(x, 2.0, 0.3, 0.01) for x in np.linspace(0, 20, 2001)]) == pytest.approx(0.3, abs=0.01)
    assert all(stripes(x, 2.0, 0.3, 2.0) == pytest.approx(0.3) for x in np.linspace(0, 4, 41))


def test_a_photo_through_a_real_lens_shows_each_point_where_the_lens_puts_it(scene: Scene) -> None:
    """What a distorted photo shows at a point's image is what the undistorted one shows at its own."""
    brown = Lens(256, 192, 20.0, (3.0, -2.0), (-0.4, 0.2, 0.002, -0.001, -0.05))
    pose = plan_flight(18, LENS, 7)[9].world_to_camera
    bent, bent_depth = cast_photo(scene, pose, brown)
    _, depth = _photo(scene, pose)
    points = _points(pose, depth).reshape(-1, 3)
    seen = points @ pose[:3, :3].T + pose[:3, 3]
    at = brown.project(seen)
    inside = np.all((at > 3) & (at < np.array([256, 192]) - 3), axis=1)
    assert inside.mean() > 0.4
    x, y = (at[inside] - 0.5).round().astype(int).T
    miss = np.abs(bent_depth[y, x] / np.linalg.norm(seen[inside], axis=1) - 1)
    assert np.median(miss) < 0.002
    straight, _ = cast_photo(scene, pose, Lens(256, 192, 20.0, (3.0, -2.0)))
    assert np.abs(bent.astype(float) - straight).mean() > 5, "distortion must show"

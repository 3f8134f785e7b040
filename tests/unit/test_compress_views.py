"""Where the proof looks from: chosen from any model whatever, the same each time, and from where there is something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from random_models import gaussians
from sog_cases import models

from services.compress.proving.density import Density
from services.compress.proving.flown import choose_views, select_photos
from services.compress.proving.proof import Proof, Prover, ViewPsnr
from services.compress.proving.views import View, look_at, views_of_model
from spaceport.pipeline.reports.compress import ViewKind
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians
from spaceport.splats.render import render

UP = (0.0, 0.0, 1.0)


def places(means: np.ndarray, sigma: float = 0.1) -> Gaussians:
    """Opaque grey balls at `means`, z upwards."""
    count = len(means)
    model = gaussians(
        means=means,
        quats=np.tile((1.0, 0, 0, 0), (count, 1)),
        scales=np.full((count, 3), np.log(sigma)),
        opacities=np.full(count, 4.0),
        sh0=np.full((count, 1, 3), 0.5),
        shN=np.zeros((count, 0, 3)),
    )
    return replace(model, frame=replace(model.frame, up=UP))


def box(count: int = 9000) -> np.ndarray:
    """Points on the walls, the floor and the ceiling of a room of 4 x 4 x 3."""
    random = np.random.default_rng(0)
    points = random.uniform(-1, 1, (count, 3))
    wall = random.integers(0, 3, count)
    points[np.arange(count), wall] = np.sign(points[np.arange(count), wall])
    return np.asarray(points * (2, 2, 1.5))


def land() -> np.ndarray:
    """Points on the ground, 20 x 20."""
    random = np.random.default_rng(1)
    return np.column_stack([random.uniform(-10, 10, (6000, 2)), random.normal(0, 0.05, 6000)])


def poses(views: list[View]) -> np.ndarray:
    return np.array([view.camera.world_to_camera for view in views])


def join(a: Gaussians, b: Gaussians) -> Gaussians:
    whole = gaussians(**{name: np.concatenate([values, b.arrays()[name]]) for name, values in a.arrays().items()})
    return replace(whole, frame=a.frame)


@given(model=models)
@settings(max_examples=15, deadline=None)
def test_any_model_has_views_and_always_the_same(model: Gaussians) -> None:
    views = views_of_model(model)
    assert [view.kind for view in views][:3] == [ViewKind.ORBIT, ViewKind.NEAR, ViewKind.ABOVE]
    assert len({view.camera.name for view in views}) == len(views)
    assert np.array_equal(poses(views), poses(views_of_model(model)))


@given(model=models)
@settings(max_examples=10, deadline=None)
def test_what_is_no_number_changes_nothing(model: Gaussians) -> None:
    broken = model.subset(np.arange(min(3, len(model))))
    broken.means[0], broken.scales[-1], broken.opacities[-1] = np.nan, np.inf, np.nan
    assert np.array_equal(
        poses(views_of_model(model)), poses(views_of_model(join(model, broken.subset(np.array([0, -1])))))
    )


def test_a_model_of_nothing_that_can_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="no finite Gaussian"):
        views_of_model(places(np.full((3, 3), np.nan)))


@pytest.mark.parametrize(
    "means",
    [
        np.array([[5.0, -3, 2]]),
        np.tile((1e6, 0, 0), (50, 1)),
        np.linspace((0, 0, 0), (9, 0, 0), 500),
        np.linspace((0, 0, -4), (0, 0, 4), 500),
        land(),
        np.random.default_rng(2).normal(0, 1, (4000, 3)),
        box(),
    ],
    ids=["one", "the same place", "a level line", "an upright line", "a plane", "a ball", "a room"],
)
def test_every_view_shows_the_model(means: np.ndarray) -> None:
    model = places(means)
    for view in views_of_model(model):
        picture = render(model, view.camera)
        assert np.isfinite(picture).all() and picture.max() > 0.3, view.camera.name
        assert np.mean(picture.max(axis=2) > 0.1) > (0.5 if view.kind is ViewKind.INSIDE else 1e-3), view.camera.name


def test_far_floaters_move_no_view_far() -> None:
    random = np.random.default_rng(3)
    directions = random.normal(size=(1500, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    model = places(land())
    floaters = places(directions * random.uniform(300, 1e5, (1500, 1)), sigma=20.0)
    before, after = (views_of_model(each) for each in (model, join(model, floaters)))
    assert [view.kind for view in before] == [view.kind for view in after]
    for a, b in zip(before, after, strict=True):
        assert np.linalg.norm(a.camera.position) < 40 and np.linalg.norm(b.camera.position) < 40
        if a.kind in (ViewKind.ORBIT, ViewKind.ABOVE):
            assert np.linalg.norm(a.camera.position - b.camera.position) < 2


def test_a_room_is_looked_at_from_inside_with_room_around() -> None:
    views = [view.camera for view in views_of_model(places(box())) if view.kind is ViewKind.INSIDE]
    assert len(views) == 1
    assert (np.abs(views[0].position) < (1.6, 1.6, 1.1)).all()


def test_a_solid_thing_has_no_inside_and_is_seen_from_near() -> None:
    model = places(np.random.default_rng(4).normal(0, 1, (8000, 3)), 0.1)
    views = views_of_model(model)
    assert ViewKind.INSIDE not in {view.kind for view in views}
    orbit, near = ([view.camera for view in views if view.kind is kind] for kind in (ViewKind.ORBIT, ViewKind.NEAR))
    assert len(near) == 2 and np.linalg.norm(near[0].position) < 0.7 * np.linalg.norm(orbit[0].position)
    assert Density(model).is_free(np.array([camera.position for camera in near])).all()


def test_above_is_above() -> None:
    above = next(view.camera for view in views_of_model(places(land())) if view.kind is ViewKind.ABOVE)
    assert above.position[2] > 20 and above.world_to_camera[2, 2] < -0.98


# --- a job's ---


def photo(x: float, y: float = 0.0, held_out: bool = False) -> Camera:
    """From 8 above, straight down."""
    eye = np.array([x, y, 8.0])
    camera = look_at(eye, eye - (0, 0, 8), np.array((0.0, 1, 0)), (1600, 1200), 1500.0, f"{x},{y}")
    return replace(camera, held_out=held_out)


def test_held_out_photos_come_first_and_are_bounded() -> None:
    cameras = [photo(i / 4, held_out=i % 8 == 0) for i in range(24)]
    selected = select_photos(cameras)
    assert [camera.held_out for camera in selected] == [True] * 3 + [False] * 3
    assert [camera.name for camera in selected[3:]] == ["0.25,0.0", "3.0,0.0", "5.75,0.0"]
    views = choose_views(places(land()), cameras)
    assert [view.kind for view in views[:4]] == [ViewKind.PHOTO, ViewKind.BETWEEN, ViewKind.BELOW, ViewKind.PHOTO]
    assert all(max(view.camera.width, view.camera.height) == 800 for view in views) and len(views) == 10
    assert [view.camera.held_out for view in views if view.kind is not ViewKind.PHOTO] == [False] * 4


def test_views_between_and_below_photos() -> None:
    views = choose_views(places(land()), [photo(0), photo(3)])
    between, below = (
        [view.camera for view in views if view.kind is kind] for kind in (ViewKind.BETWEEN, ViewKind.BELOW)
    )
    for camera in between:
        assert np.allclose(camera.position, (1.5, 0, 8)) and np.allclose(camera.world_to_camera[2, :3], (0, 0, -1))
    assert {round(float(camera.position[0]), 6) for camera in below} == {0.0, 3.0}
    assert all(3.5 < camera.position[2] < 4.5 for camera in below)


def test_a_view_between_is_between_two_that_look_the_same_way() -> None:
    """Where a flight turns, the nearest photo looks back: halfway round, nothing of the model would be seen."""
    back = look_at(
        np.array((0.1, 0.0, 8.0)), np.array((0.1, 0.0, 16.0)), np.array((0.0, 1, 0)), (1600, 1200), 1500.0, "up"
    )
    views = choose_views(places(land()), [photo(0), back, photo(3)])
    made = {view.camera.name: view.camera for view in views if view.kind is ViewKind.BETWEEN}
    for name, camera in made.items():
        if "up" not in name.split():
            assert np.allclose(camera.world_to_camera[2, :3], (0, 0, -1))
    assert "between 0,0.0 and 3,0.0" in made or "between 3,0.0 and 0,0.0" in made


def test_photos_of_one_place_or_of_nothing_have_no_other_views() -> None:
    kinds = {view.kind for view in choose_views(places(land()), [photo(0), photo(0)])}
    assert kinds == {ViewKind.PHOTO, ViewKind.BELOW}
    away = look_at(np.array((0.0, 0, 8)), np.array((0.0, 0, 9)), np.array((0.0, 1, 0)), (64, 48), 60.0, "away")
    assert [view.kind for view in choose_views(places(land()), [away])] == [ViewKind.PHOTO]


# --- mean and worst ---


def test_the_worst_view_decides_where_it_lies_far_below_the_mean() -> None:
    picture = np.zeros((2, 2, 3), np.float32)

    def proof(*psnr: float) -> Proof:
        return Proof([ViewPsnr(ViewKind.NEAR, "", False, each) for each in psnr], (picture, picture))

    assert proof(44.0, 46.0).decisive == 45.0
    assert proof(50.0, 50.0, 38.0).decisive == 42.0
    kinds = Proof([*proof(44.0, 46.0).views, ViewPsnr(ViewKind.ABOVE, "", False, 41.0)], (picture, picture)).kinds
    assert {kind.value: (psnr.mean, psnr.worst) for kind, psnr in kinds.items()} == {
        "near": (45.0, 44.0), "above": (41.0, 41.0),
    }  # fmt: skip


def test_a_proof_says_how_each_view_looks() -> None:
    model = places(land())
    views = views_of_model(model)
    proof = Prover(model, views, Silent()).compare(replace(model, sh0=model.sh0 + np.float32(0.01)))
    assert [(view.kind, view.name) for view in proof.views] == [(view.kind, view.camera.name) for view in views]
    with pytest.raises(ValueError, match="no views"):
        Prover(model, [], Silent())

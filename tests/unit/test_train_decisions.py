"""What is decided before training: cap, held-out photos, frame, first sizes, device; and the exposure's invariants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from services.train.capacity import (
    MIN_GAUSSIANS,
    Cap,
    choose_cap,
    choose_sh_degree,
    mean_views_per_point,
    memory_cap,
    pixels_per_gaussian,
)
from services.train.dataset import choose_held_out
from services.train.device import choose_device, memory_bytes
from services.train.exposure import Exposures
from services.train.initialise import gaussians_from_points, mean_neighbour_distances
from services.train.normalise import transform_from_cameras
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import TrainOptions
from spaceport.splats.cameras import Camera

EFFORT, MEMORY = Cap(100_000, "what the preset is worth"), Cap(10**7, "memory of the machine")


def test_the_cap_names_what_binds_it() -> None:
    assert choose_cap(None, 1_440_000, 160, 3_000, EFFORT, MEMORY).gaussians == 9_000
    assert choose_cap(None, 1_440_000, 80, 3_000, EFFORT, MEMORY).gaussians == 18_000
    assert "pixels" in choose_cap(None, 1_440_000, 80, 3_000, EFFORT, MEMORY).why
    assert "point" in choose_cap(None, 10**9, 80, 500, EFFORT, MEMORY).why
    assert choose_cap(None, 10**9, 80, 10**6, EFFORT, MEMORY) == EFFORT
    assert choose_cap(None, 10**12, 80, 10**8, Cap(10**8, "effort"), MEMORY) == MEMORY
    assert choose_cap(None, 100, 80, 5, EFFORT, MEMORY).gaussians == MIN_GAUSSIANS


def test_gaussians_follow_views_and_the_side_of_large_photos() -> None:
    assert pixels_per_gaussian(400, 1) == pixels_per_gaussian(640, 0) == 160
    assert pixels_per_gaussian(640, 4) == 80
    assert pixels_per_gaussian(1280, 4) == 160
    photos = [choose_cap(None, side**2, pixels_per_gaussian(side, 4), 10**9, MEMORY, MEMORY) for side in (2_560, 5_120)]
    assert photos[1].gaussians == 2 * photos[0].gaussians


def test_memory_holds_photos_and_gaussians() -> None:
    t4, pixels = 16 << 30, 1600 * 1200
    assert memory_cap(t4, pixels, cuda=True).gaussians > 3_000_000
    assert memory_cap(t4, 10 * pixels, cuda=True).gaussians < memory_cap(t4, pixels, cuda=True).gaussians
    assert memory_cap(1 << 30, 10**9, cuda=True) == Cap(MIN_GAUSSIANS, "memory of the GPU")
    assert memory_cap(8 << 30, pixels, cuda=False).why == "memory of the machine"


def test_memory_is_the_containers_where_it_has_a_limit(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    cpu = choose_device(TrainOptions(device="cpu"))
    unlimited = memory_bytes(cpu, limit)
    limit.write_text("max\n")
    assert memory_bytes(cpu, limit) == unlimited > 1 << 30
    limit.write_text("1000000\n")
    assert memory_bytes(cpu, limit) == 1_000_000
    assert memory_bytes(replace(cpu, kind="cuda", cuda_bytes=5), limit) == 5


def test_views_count_the_pictures_that_a_point_lies_in() -> None:
    aside = np.eye(4)
    aside[0, 3] = 100.0
    cameras = [Camera(name, 40, 30, 50.0, 50.0, 20.0, 15.0, pose) for name, pose in (("a", np.eye(4)), ("b", aside))]
    front, behind, left = [0.0, 0, 5], [0.0, 0, -5], [-100.0, 0, 5]
    assert mean_views_per_point(cameras[:1] * 3, np.array([front])) == 3
    assert (
        mean_views_per_point(cameras, np.array([front, behind, left])) == 1
    )  # each of two in one, who is in none is no one
    assert mean_views_per_point(cameras, np.array([behind])) == 1
    assert mean_views_per_point(cameras, np.array([[0.0, 0, 0]])) == 1


def test_a_demanded_cap_is_kept_unless_the_gpu_cannot_hold_it() -> None:
    assert choose_cap(500_000, 10, 80, 10, EFFORT, MEMORY) == Cap(500_000, "as requested")
    assert choose_cap(10_000_001, 10, 80, 10, EFFORT, MEMORY) == MEMORY


def test_bands_follow_the_photos() -> None:
    assert [choose_sh_degree(3, photos) for photos in (2, 16, 24, 48, 300)] == [1, 1, 2, 3, 3]
    assert choose_sh_degree(0, 300) == 0


@given(photos=st.integers(2, 500), every=st.integers(2, 1000))
def test_held_out_photos(photos: int, every: int) -> None:
    chosen = choose_held_out(photos, every)
    assert bool(chosen) == (photos >= 8)
    assert chosen <= set(range(photos))
    assert len(chosen) <= photos / 2 + 1


def test_every_eighth_is_the_first_of_eight() -> None:
    assert choose_held_out(18, 8) == {0, 8, 16}


def camera(position: tuple[float, float, float]) -> Camera:
    pose = np.eye(4)
    pose[:3, 3] = [-value for value in position]
    return Camera("a.jpg", 40, 30, 50.0, 50.0, 20.0, 15.0, pose)


def test_a_point_projects_to_the_same_pixel_in_both_frames() -> None:
    cameras = [camera((100, 200, 30)), camera((140, 200, 30))]
    xyz = np.random.default_rng(0).uniform(-20, 20, (50, 3)) + np.array([120, 200, 80])
    transform = transform_from_cameras(cameras, xyz)
    for each in cameras:
        inside = transform.transform_camera(each)
        world = xyz @ each.world_to_camera[:3, :3].T + each.world_to_camera[:3, 3]
        local = transform.transform_points(xyz) @ inside.world_to_camera[:3, :3].T + inside.world_to_camera[:3, 3]
        np.testing.assert_allclose(local[:, :2] / local[:, 2:], world[:, :2] / world[:, 2:])
    assert transform.extent == pytest.approx(22)


def test_a_panorama_takes_its_extent_from_the_depth() -> None:
    xyz = np.random.default_rng(0).normal(size=(50, 3)) * 30
    assert transform_from_cameras([camera((0, 0, 0)), camera((0, 0, 1e-9))], xyz).extent > 1


def test_all_in_one_place_is_no_scene() -> None:
    with pytest.raises(ValueError, match="one place"):
        transform_from_cameras([camera((1, 1, 1))] * 2, np.ones((5, 3)))


def test_neighbour_distances_of_a_grid() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(20.0)] * 3), -1).reshape(-1, 3) * 0.5
    distances = mean_neighbour_distances(grid)
    assert np.median(distances) == pytest.approx(0.5)
    assert (distances >= 0.5).all()
    assert distances.max() < 1.0  # at the edge of a group a neighbour may be missed, not more


def test_doubled_points_and_strays_get_sane_sizes() -> None:
    xyz = np.concatenate([np.zeros((10, 3)), np.random.default_rng(0).uniform(size=(100, 3)), [[1e6, 0, 0]]])
    distances = mean_neighbour_distances(xyz)
    assert (distances > 0).all()
    assert distances.max() < 10


@pytest.mark.parametrize("count", [4, 1, 5_000])
def test_first_gaussians_show_the_points_colours(count: int) -> None:
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (count, 3), dtype=np.uint8)
    first = gaussians_from_points(random.normal(size=(count, 3)), rgb, 2, torch.device("cpu"))
    assert first["shN"].shape == (count, 8, 3)
    shown = first["sh0"][:, 0].numpy() * 0.28209479 + 0.5
    np.testing.assert_allclose(shown * 255, rgb, atol=1e-3)
    assert all(torch.isfinite(value).all() for value in first.values())


def test_exposures_stay_neutral_in_the_mean() -> None:
    exposures = Exposures(5)
    random = np.random.default_rng(0)
    for step in range(200):
        exposures.step(step % 5, torch.tensor(random.normal(size=(2, 3)) + 1, dtype=torch.float32), step / 200)
    np.testing.assert_allclose(exposures.values.mean(0), [[1, 1, 1], [0, 0, 0]], atol=1e-5)
    assert (exposures.values - Exposures(5).values).abs().max() > 1e-3


def test_exposure_moves_against_its_gradient() -> None:
    exposures = Exposures(4)
    grad = torch.zeros((2, 3))
    grad[0, 1] = 3
    exposures.step(2, grad, 0.0)
    assert exposures.of(2)[0, 1] < 1 < exposures.of(0)[0, 1]
    assert exposures.of(2)[0, 0] == 1


def test_the_device_and_the_reason() -> None:
    assert choose_device(TrainOptions(device="cpu", threads=3)).why == "requested"
    assert choose_device(TrainOptions(device="cpu", threads=3)).threads == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU is there")
def test_a_demanded_gpu_that_is_not_there_is_said() -> None:
    assert "no CUDA GPU" in choose_device(TrainOptions()).why
    with pytest.raises(Refused) as caught:
        choose_device(TrainOptions(device="cuda"))
    assert caught.value.slug is Slug.BAD_OPTIONS

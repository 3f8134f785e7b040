"""How a model is looked at first: the flight's path, the view, what may be measured, the pictures and their time."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from random_models import gaussians, noise

from services.compress.proving.proof import Picture
from services.compress.proving.views import look_at
from services.compress.viewing import video
from services.compress.viewing.flight_path import HIGHEST, KEYS, LOWEST, plan_path
from services.compress.viewing.pictures import (
    CANDIDATE_GAUSSIANS,
    CANDIDATE_SIZE,
    FRAMES,
    best_key,
    camera_at,
    fly,
    path_at,
    poster,
    thin_out,
    thumb,
)
from services.compress.viewing.settings import make_settings, model_up, read_georeference
from services.compress.viewing.survey import Array, Survey, make_survey, up_from_cameras
from services.compress.viewing.video import VideoError, VideoWriter, write_video
from spaceport.pipeline.reports.sfm import Georeference
from spaceport.pipeline.reports.viewer import ViewerSettings
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.render import render

Z = np.array([0.0, 0.0, 1.0])


def orbit(count: int, begin: float = 0, sweep: float = 2 * np.pi, radius: float = 30, height: float = 25) -> Survey:
    turns = begin + sweep * np.arange(count) / count
    positions = np.stack([radius * np.cos(turns), radius * np.sin(turns), np.full(count, height)], axis=1)
    return Survey(positions, np.zeros((count, 3)), Z)


def grid(wide: float, long: float, height: float = 40) -> Survey:
    x, y = np.meshgrid(np.linspace(0, wide, 6), np.linspace(0, long, 10))
    below = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    return Survey(below + height * Z, below, Z)


def angles(survey: Survey) -> tuple[Array, Array]:
    """Of the flight's views: how far they look down, and their azimuths, radians [K]."""
    path = plan_path(survey)
    views = path.targets - path.positions
    return np.arctan2(-views[:, 2], np.hypot(views[:, 0], views[:, 1])), np.arctan2(-views[:, 1], -views[:, 0])


@given(radius=st.floats(3, 300), height=st.floats(-5, 300), count=st.integers(5, 60), begin=st.floats(0, 6))
@settings(max_examples=60, deadline=None)
def test_what_was_flown_around_is_flown_around_obliquely(
    radius: float, height: float, count: int, begin: float
) -> None:
    path = plan_path(orbit(count, begin, radius=radius, height=height))
    assert path.is_closed
    np.testing.assert_allclose(path.positions[0], path.positions[-1])
    down, azimuths = angles(orbit(count, begin, radius=radius, height=height))
    assert (down > LOWEST - 1e-6).all() and (down < HIGHEST + 1e-6).all()
    turned = np.abs(np.diff(np.unwrap(azimuths)))
    assert turned.sum() == pytest.approx(2 * np.pi, abs=1e-6) and turned.max() < 2.1 * np.pi / (KEYS - 1)


def test_where_nobody_has_been_the_flight_is_not_either() -> None:
    path = plan_path(orbit(20, begin=1.0, sweep=2.0))
    assert not path.is_closed
    _, azimuths = angles(orbit(20, begin=1.0, sweep=2.0))
    assert azimuths.min() > 0.99 and azimuths.max() < 3.01


def test_a_grid_that_looks_straight_down_is_seen_from_the_side() -> None:
    down, _ = angles(grid(80, 100))
    assert (down < HIGHEST + 1e-6).all()


def test_a_corridor_is_flown_along_once_and_obliquely() -> None:
    path = plan_path(grid(20, 400))
    way = np.diff(path.positions[:, 1])
    assert not path.is_closed and ((way > -1e-6).all() or (way < 1e-6).all())
    assert np.ptp(path.positions[:, 1]) > 250
    assert (angles(grid(20, 400))[0] < HIGHEST + 1e-6).all()


def test_rooms_are_walked_through() -> None:
    turns = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    outward = np.stack([np.cos(turns), np.sin(turns), np.zeros(30)], axis=1)
    survey = Survey(outward, 4 * outward, Z)
    path = plan_path(survey)
    assert not path.is_closed
    assert np.linalg.norm(path.positions, axis=1).max() < 1.01


@given(st.integers(1, 4), st.floats(0.1, 100))
@settings(max_examples=20, deadline=None)
def test_any_few_cameras_make_a_flight(count: int, size: float) -> None:
    random = np.random.default_rng(count)
    positions = random.normal(0, size, (count, 3))
    path = plan_path(Survey(positions, positions - size * Z, Z))
    assert np.isfinite(path.positions).all() and path.positions.shape == path.targets.shape == (KEYS, 3)
    assert (np.linalg.norm(path.targets - path.positions, axis=1) > 0).all()


def test_a_camera_looks_at_what_is_in_its_middle() -> None:
    random = np.random.default_rng(1)
    ground = np.stack([*random.uniform(-40, 40, (2, 4000)), np.zeros(4000)], axis=1)
    model = gaussians(
        means=ground,
        quats=np.tile((1.0, 0, 0, 0), (4000, 1)),
        scales=np.zeros((4000, 3)),
        opacities=np.full(4000, 3.0),
        sh0=np.zeros((4000, 1, 3)),
        shN=np.zeros((4000, 0, 3)),
    )
    position, target = np.array([20.0, 0.0, 30.0]), np.array([0.0, 0.0, 0.0])
    camera = look_at(position, target, Z, (640, 480), 600)
    survey = make_survey(model, [camera], Z)
    np.testing.assert_allclose(survey.targets[0], target, atol=2.5)
    cameras = [look_at(np.array([x, y, 30.0]), target, Z, (640, 480), 600) for x, y in [(20, 0), (0, 20), (-20, 5)]]
    np.testing.assert_allclose(up_from_cameras(cameras), Z, atol=1e-6)


def test_between_keys_it_is_smooth_and_on_them_exact() -> None:
    path = plan_path(orbit(12)).from_key(7)
    for key in range(KEYS):
        np.testing.assert_allclose(path_at(path, key / (KEYS - 1))[0], path.positions[key], atol=1e-3)
    steps = np.array([path_at(path, share)[0] for share in np.linspace(0, 1, 1000)])
    lengths = np.linalg.norm(np.diff(steps, axis=0), axis=1)
    assert lengths.max() < 1.3 * lengths.min()


def georeference(**fields: object) -> Georeference:
    return Georeference.model_validate(
        {"aligned": True, "metric": True, "axes": "x east, y north, z up, metres"} | fields
    )


def test_the_viewer_file_says_what_a_length_means(tmp_path: Path) -> None:
    path = plan_path(orbit(12))
    known = make_settings(path, 0, Z, georeference(scale_uncertainty=0.012, uncertainty_m=1.0))
    assert (known.metric.is_metric, known.metric.unit_m, known.metric.scale_uncertainty) == (True, 1.0, 0.012)
    assert known.view.position == known.flight.keys[0].position and len(known.flight.keys) == KEYS
    assert ViewerSettings.model_validate_json(known.model_dump_json()) == known
    not_known = make_settings(path, 0, Z, georeference(metric=False, metric_reason="The receiver drifted."))
    assert (not_known.metric.is_metric, not_known.metric.why_not) == (False, "The receiver drifted.")
    assert make_settings(path, 0, Z, None).metric.why_not
    file = tmp_path / "georeference.json"
    file.write_text(json.dumps({"version": 1} | georeference(unit_m=2.5).model_dump(mode="json")))
    read = read_georeference(file)
    assert make_settings(path, 0, Z, read).metric.unit_m == 2.5


@pytest.mark.parametrize("text", ["", "[]", "{", '{"aligned": 1}', "[" * 100_000])
def test_what_is_no_report_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert read_georeference(tmp_path / "file") is None
    assert read_georeference(tmp_path / "missing") is None


def test_a_model_in_a_frame_of_its_own_is_upright_by_where_it_is_on_the_earth() -> None:
    into_earth = np.eye(4)
    into_earth[:3, 3] = 0, -6_371_000, 0
    own = georeference(axes="those of the given model", to_ecef=into_earth.tolist(), unit_m=1.0)
    np.testing.assert_allclose(model_up(own, []), (0, -1, 0))
    np.testing.assert_allclose(model_up(georeference(), []), Z)
    np.testing.assert_allclose(model_up(None, []), Z)


class Machine:
    """A rasteriser and its clock: each picture takes so many seconds for each million pixels."""

    def __init__(self, seconds: float, later: float = 0) -> None:
        self.now, self.seconds, self.later, self.sizes = 0.0, seconds, later, list[int]()

    def clock(self) -> float:
        return self.now

    def render(self, camera: Camera, background: tuple[float, float, float]) -> Picture:
        self.now += (
            (self.later if self.later and len(self.sizes) > 50 else self.seconds) * camera.width * camera.height / 1e6
        )
        self.sizes.append(camera.width)
        return np.full((1, 1, 3), background, np.float32)  # as large as nobody looks at


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For how many frames each picture is shown, instead of a video."""
    holds: list[int] = []
    monkeypatch.setattr(VideoWriter, "write", lambda _self, _pixels, times=1: holds.append(times))
    return holds


@pytest.mark.parametrize(
    ("seconds", "width", "longest"), [(0.01, 1280, 1), (0.04, 960, 1), (0.09, 640, 1), (0.15, 640, 2), (0.26, 640, 3)]
)
def test_pictures_get_smaller_and_then_fewer_where_time_is_short(
    tmp_path: Path, written: list[int], seconds: float, width: int, longest: int
) -> None:
    machine = Machine(seconds)
    flight = fly(tmp_path / "flight.mp4", plan_path(orbit(12)), Z, machine.render, 10.0, Silent(), machine.clock)
    assert flight.missed is None and flight.size[0] == width
    assert max(written) <= longest and sum(written) == FRAMES and flight.pictures == len(written)
    assert machine.now < 10


def test_a_machine_that_is_too_slow_makes_no_flight_and_says_so(tmp_path: Path, written: list[int]) -> None:
    machine = Machine(0.6)
    flight = fly(tmp_path / "flight.mp4", plan_path(orbit(12)), Z, machine.render, 10.0, Silent(), machine.clock)
    assert flight.missed and "10.0 s" in flight.missed and machine.now < 2 and not written


def test_a_model_whose_poster_took_longer_than_a_flight_can_is_not_rendered_again(
    tmp_path: Path, written: list[int]
) -> None:
    machine = Machine(0.01)
    ways = (tmp_path / "flight.mp4", plan_path(orbit(12)), Z, machine.render, 10.0, Silent(), machine.clock)
    assert fly(*ways, poster_seconds=0.5).missed and not machine.sizes, "100 pictures of a quarter of that: 12.5 s"
    assert fly(*ways, poster_seconds=0.3).missed is None


def test_a_machine_that_gets_slow_ends_the_flight_in_time(tmp_path: Path, written: list[int]) -> None:
    machine = Machine(0.01, later=2.0)
    flight = fly(tmp_path / "flight.mp4", plan_path(orbit(12)), Z, machine.render, 10.0, Silent(), machine.clock)
    assert flight.missed and "slow" in flight.missed and machine.now < 12
    assert sum(written) < FRAMES and not list(tmp_path.iterdir())


def test_the_flight_is_a_video_that_browsers_play(tmp_path: Path) -> None:
    file = tmp_path / "flight.mp4"
    shades = itertools.cycle((40, 200))
    with write_video(file) as writer:
        for _ in range(3):
            writer.write(np.full((90, 160, 3), next(shades), np.uint8), 2)
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 1280, 720)
        assert stream.average_rate == 30 and stream.codec_context.pix_fmt == "yuv420p"
        pictures = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(stream)]
    np.testing.assert_allclose(pictures, [40, 40, 200, 200, 40, 40], atol=3)
    assert file.read_bytes().index(b"moov") < file.read_bytes().index(b"mdat"), "it plays before all of it is there"


def failing_import() -> None:
    raise VideoError("PyAV cannot be loaded: no such file")


def failing_stream(*_: object) -> None:
    raise VideoError("Encoder not found")


@pytest.mark.parametrize(("name", "failing"), [("_import_av", failing_import), ("_make_stream", failing_stream)])
def test_without_a_video_the_stage_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, failing: Callable[..., None]
) -> None:
    monkeypatch.setattr(video, name, failing)
    machine = Machine(0.01)
    flight = fly(tmp_path / "flight.mp4", plan_path(orbit(12)), Z, machine.render, 10.0, Silent(), machine.clock)
    assert flight.missed and flight.missed.startswith("There is no video of the flight: ")
    assert not list(tmp_path.iterdir())


def test_the_first_view_has_the_fewest_holes() -> None:
    path = plan_path(orbit(12))

    def render(camera: Camera, background: tuple[float, float, float]) -> Picture:
        picture = np.full((camera.height, camera.width, 3), 0.5, np.float32)
        if camera.position[0] < 0 or camera.position[1] < 0:
            picture[: camera.height // 2] = background
        return picture

    position = path.positions[best_key(path, Z, render)]
    assert position[0] > 0 and position[1] > 0


def test_a_sample_of_a_large_model_looks_as_dense_as_the_model() -> None:
    """Half a surface, so that what the picture shows of it is a share of which neither all nor nothing is right."""
    random = np.random.default_rng(7)
    model = noise(4 * CANDIDATE_GAUSSIANS - 1, coefficients=3)
    places = np.stack([random.uniform(-30, 0, len(model)), random.uniform(-20, 20, len(model))], axis=1)
    model = replace(
        model,
        means=np.pad(places, ((0, 0), (0, 1))).astype(np.float32),
        scales=np.full((len(model), 3), np.log(0.1), np.float32),
    )
    sample = thin_out(model)
    assert len(sample) == CANDIDATE_GAUSSIANS and sample.sh_degree == 0
    camera = camera_at(plan_path(orbit(12)), 0, Z, CANDIDATE_SIZE)
    white, thinned = (render(each, camera, background=(1, 1, 1)) for each in (model.without_sh(), sample))
    black, thinned_black = (render(each, camera) for each in (model.without_sh(), sample))
    assert 0.2 < np.mean(1 - (white - black)) < 0.8
    assert np.mean(thinned - thinned_black) == pytest.approx(np.mean(white - black), abs=0.02)


def test_a_poster_of_noise_is_under_200_kb(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((720, 1280, 3), dtype=np.float32)
    (tmp_path / "poster.jpg").write_bytes(poster(np.repeat(np.repeat(noise[::2, ::2], 2, 0), 2, 1)))
    with Image.open(tmp_path / "poster.jpg") as picture:
        assert picture.size == (1280, 720) and (tmp_path / "poster.jpg").stat().st_size < 200_000


def test_a_thumb_of_noise_is_under_16_kb() -> None:
    thumbnail = thumb(np.repeat(np.repeat(np.random.default_rng(0).random((72, 128, 3), np.float32), 10, 0), 10, 1))
    with Image.open(io.BytesIO(thumbnail)) as picture:
        assert picture.size == (256, 144) and len(thumbnail) < 16_000


def test_a_key_s_camera_has_its_target_in_the_middle() -> None:
    path = plan_path(orbit(12))
    camera = camera_at(path, 3, Z, (1280, 720))
    u, v, _ = camera.project(path.targets[3:4])
    np.testing.assert_allclose((u[0], v[0]), (640, 360), atol=1e-6)
    assert 2 * np.degrees(np.arctan(640 / camera.fx)) == pytest.approx(60)
    above = camera.project(path.targets[3:4] + Z)[1]
    assert above[0] < 360, "up is up"

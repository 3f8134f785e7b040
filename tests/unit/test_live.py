"""What a running training shows of itself: written by the stage, kept in the bucket while it runs, read by the page."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from api_cases import ask
from function_cases import Context, call, deploy
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pipeline_cases import JOB, begin, requested, staged
from test_worker_checkpoint import Bench
from waiting import until

from functions.api import app
from services.train import live as live_module
from services.train.live import LiveView
from services.train.log import LogEntry
from spaceport.pipeline.contract import JobState, Outcome, StageName, now
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.state import Beat
from spaceport.pipeline.jobs.table import JobTable
from spaceport.pipeline.layout import live_key
from spaceport.pipeline.live import LIVE_JSON, LIVE_PICTURE, MAX_POINTS, Live, LivePicture, LiveScore, thin_out
from spaceport.pipeline.stages import heartbeat
from spaceport.pipeline.stages import live as sync_module
from spaceport.pipeline.stages.stage import DONE, REFUSED
from spaceport.pipeline.storage import Bucket
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # most calls count nothing
KEYS = [live_key(JOB, StageName.TRAIN, name) for name in (LIVE_JSON, LIVE_PICTURE)]


@given(st.integers(0, 500), st.integers(2, 80))
def test_points_are_few_and_hold_both_ends(count: int, most: int) -> None:
    points = thin_out(range(count), most)
    assert points == sorted(set(points)) and len(points) == min(count, most)
    assert not count or (points[0], points[-1]) == (0, count - 1)


class Training:
    """A training set of one held-out photo, a rasteriser of grey pictures that takes as long as one likes, a clock."""

    def __init__(self, folder: Path, noise: bool = False) -> None:
        self.seconds = self.cost = 0.0
        self.pictures = 0
        self.noise = noise
        camera = Camera("DJI_7.JPG", 1600, 1200, 1000.0, 1000.0, 800.0, 600.0, np.eye(4), held_out=True)
        photos = SimpleNamespace(at=self.photo)
        training_set: Any = SimpleNamespace(photos=photos, validation=[camera])
        self.view = LiveView(folder, training_set, self, 3, lambda: self.seconds)  # type: ignore[arg-type]

    def photo(self, camera: Camera) -> Any:
        return np.full((camera.height, camera.width, 3), 200, np.uint8)

    def render(self, _: Any, camera: Camera, sh_degree: int) -> Any:
        self.pictures += 1
        self.seconds += self.cost
        shape = (camera.height, camera.width, 3)
        return np.random.default_rng(1).random(shape) if self.noise else np.full(shape, 0.25, np.float32)


def entry(iteration: int) -> LogEntry:
    return LogEntry(iteration, 0.1, 20 + iteration / 100, 1000, 1.0, 1.0)


def test_a_photo_stands_beside_the_model_and_the_curve_has_its_ends(tmp_path: Path) -> None:
    training = Training(tmp_path)
    entries = [entry(10 * number) for number in range(1, 101)]
    training.view.update({}, 40, entries[:4])
    assert not (tmp_path / LIVE_PICTURE).exists(), "it has only begun"
    assert Live.model_validate_json((tmp_path / LIVE_JSON).read_bytes()).picture is None
    training.seconds = 5
    training.view.update({}, 1000, entries)
    live = Live.model_validate_json((tmp_path / LIVE_JSON).read_bytes())
    assert (len(live.series), live.series[0].iteration, live.series[-1].iteration) == (MAX_POINTS, 10, 1000)
    assert live.series[-1].psnr == 30
    assert live.picture
    assert (live.picture.photo, live.picture.iteration, live.picture.held_out) == ("DJI_7.JPG", 1000, True)
    pixels = np.asarray(Image.open(tmp_path / LIVE_PICTURE))
    assert pixels.shape == (360, 960, 3)
    assert abs(pixels[:, :470].mean() - 200) < 2 and abs(pixels[:, 490:].mean() - 64) < 2
    training.view.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("cost", "most"), [(0.0, 40), (0.1, 40), (5.0, 3), (60.0, 1)])
def test_pictures_take_under_two_percent_of_a_long_training(tmp_path: Path, cost: float, most: int) -> None:
    training = Training(tmp_path)
    training.cost = cost
    while training.seconds < 1200:
        training.seconds += 1
        training.view.update({}, int(training.seconds), [])
    assert 1 <= training.pictures <= most
    assert cost == 60 or training.pictures * cost <= 0.02 * training.seconds


def test_a_picture_of_noise_is_small_too(tmp_path: Path) -> None:
    training = Training(tmp_path, noise=True)
    training.seconds = 5
    training.view.update({}, 10, [])
    assert (tmp_path / LIVE_PICTURE).stat().st_size <= 100_000


def test_whatever_goes_wrong_the_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    training = Training(tmp_path)
    training.seconds = 5
    monkeypatch.setattr(live_module, "write_atomic", full)
    for second in range(100):
        training.seconds += second
        training.view.update({}, 10, [entry(second)])
    assert training.pictures == 1


@pytest.mark.parametrize("refused", [False, True])
def test_the_bucket_has_the_last_of_each_while_the_stage_works(
    bucket: Bucket, table: JobTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(sync_module, "POLL_SECONDS", 0.02)
    bench = Bench(bucket, table, tmp_path / "scratch")

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        folder = output / "gaussian"
        folder.mkdir()
        for body in (b"one", b"two"):
            for name in (LIVE_PICTURE, LIVE_JSON):
                part = folder / "part"
                part.write_bytes(body)
                part.replace(folder / name)
            until(partial(kept, bucket, body))
            until(lambda: versions(bucket) == 2)
        (kind,) = {bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"] for key in KEYS[1:]}
        assert kind == "image/jpeg"
        if refused:
            raise Refused(Slug.TRAINING_DIVERGED, iterations=1)
        for name in (LIVE_PICTURE, LIVE_JSON):
            (folder / name).unlink()
        return Outcome(message="done")

    assert bench.work(core) == (REFUSED if refused else DONE)
    assert versions(bucket) == 0


def kept(bucket: Bucket, body: bytes) -> bool:
    return all(bucket.read_small(key, 10) == body for key in KEYS)


def versions(bucket: Bucket) -> int:
    listing = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=f"jobs/{JOB}/gaussian/live")
    return len(listing.get("Versions", [])) + len(listing.get("DeleteMarkers", []))


def test_a_bucket_that_cannot_be_written_is_no_reason_to_end(
    bucket: Bucket,
    table: JobTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(sync_module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(bucket, "put_small", refuse)
    bench = Bench(bucket, table, tmp_path / "scratch")

    def core(source: Path, output: Path, options: Any, progress: Progress) -> Outcome:
        (output / "gaussian").mkdir()
        (output / "gaussian" / LIVE_JSON).write_bytes(b"{}")
        until(lambda: "no network" in caplog.text)
        (output / "gaussian" / LIVE_JSON).unlink()
        return Outcome(message="done")

    with caplog.at_level(logging.WARNING):
        assert bench.work(core) == DONE


def show(**query: str) -> tuple[dict[str, Any], str]:
    answer = app.handler(call("api_job", path=f"/jobs/{JOB}", queryStringParameters=query), Context())
    return json.loads(answer["body"]), answer["multiValueHeaders"]["ETag"][0]


def put(bucket: Bucket, *scores: float, iteration: int | None = None) -> None:
    series = [LiveScore(iteration=100 * number, psnr=score) for number, score in enumerate(scores)]
    picture = LivePicture(at=now(), iteration=iteration, photo="a.jpg", held_out=True) if iteration else None
    bucket.put_small(KEYS[0], Live(series=series, picture=picture).model_dump_json().encode())


def audited(table: JobTable) -> int:
    return sum(str(row["job_id"]).startswith("audit#") for row in table.table.scan()["Items"])


def test_a_running_job_shows_its_curve_and_each_picture_once(
    bucket: Bucket, uploads: Bucket, table: JobTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch)
    begin(bucket, table, requested(), staged(StageName.SFM))
    table.record(Beat(StageName.TRAIN, 0.1, "Training", {}, now()), JOB)
    answer, first = show()
    assert "series" not in answer, "the training has only begun"
    put(bucket, 20.5, 21.5)
    answer, second = show()
    assert (answer["series"][1], answer["live"]) == ({"iteration": 100, "psnr": 21.5}, None)
    assert first != second, "the row is as it was, and the answer is not"
    again = call("api_job", path=f"/jobs/{JOB}")
    again["headers"]["if-none-match"] = second
    assert app.handler(again, Context())["statusCode"] == 304
    put(bucket, 20.5, 21.5, iteration=140)
    answer, third = show()
    assert third != second and audited(table) == 1
    assert (answer["live"]["iteration"], answer["live"]["photo"]) == (140, "a.jpg")
    assert KEYS[1] in answer["live"]["url"]
    answer, fourth = show(live=answer["live"]["at"])
    assert "url" not in answer["live"] and fourth == third and audited(table) == 1
    bucket.put_small(KEYS[0], b'{"series": "damaged"}')
    assert "series" not in show()[0]
    bucket.put_small(KEYS[0], b"x" * 20_000)
    assert "series" not in show()[0]
    put(bucket, 20.5)
    table.record(staged(StageName.TRAIN))
    row = table.get(JOB)
    assert row and row.state is JobState.COMPRESSING
    assert "series" not in show()[0], "what a killed training has left is not shown"
    assert ask("api_job", path=f"/jobs/{JOB}")[0] == 200

"""What a photo may cost, and whose fault it is when a decoder ends: the file's, or the machine's."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jpeg_cases import grey_jpeg, many_scans
from PIL import Image
from waiting import until

from services.sfm.capture.measure import measure_photos
from services.sfm.photos import decoder, decoder_pool
from services.sfm.photos.decoder_pool import cpu_budget, decode_all
from services.sfm.photos.ingest import FULL_SIZE
from services.sfm.stage import run
from spaceport.pipeline.errors import LostResource, Refused, Slug
from spaceport.pipeline.options import SfmOptions
from spaceport.pipeline.stages.limits import machine_limits
from spaceport.progress import Silent

LARGE = (16_320, 12_240)


def photo() -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()


def request(path: Path, longest: int = 800) -> dict[str, Any]:
    copy = path.with_name(f"{path.name}.copy.jpg")
    return {"kind": "photo", "path": str(path), "name": path.name, "copy": str(copy), "longest": longest}


def decoded(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    return decode_all(list(requests), lambda _: None, lambda: None, seconds=60)


def decoders() -> list[int]:
    """The processes that decode for this one."""
    own = f"services.sfm.photos.decoder_process\0{os.getpid()}\0".encode()
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208 - others end meanwhile, which glob minds
        with suppress(OSError):
            if own in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def has_ended(pid: int) -> bool:
    """Whether a process has closed its files too: its command line is gone before."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def has_open(pid: int, path: Path) -> bool:
    """Files that it closes meanwhile cannot be asked for."""
    opened = []
    with suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                opened.append(each.readlink())
    return path.resolve() in opened


@contextmanager
def killing(path: Path, number: int, times: int, before: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Kill each decoder that opens this named pipe by a signal, so many times."""
    os.mkfifo(path)

    def kill_one() -> None:
        with path.open("wb"):  # waits for its reader
            before()
            pids = [pid for pid in decoders() if has_open(pid, path)]
            for pid in pids:
                os.kill(pid, number)
            until(lambda: all(map(has_ended, pids)), decoders)

    killers = ThreadPoolExecutor(1)
    kills = [killers.submit(kill_one) for _ in range(times)]
    yield
    for kill in kills:
        kill.result(10)
    killers.shutdown()


def test_a_decoder_that_is_killed_twice_is_the_machines_fault(tmp_path: Path) -> None:
    with (
        killing(tmp_path / "a.jpg", signal.SIGKILL, 2),
        pytest.raises(LostResource) as caught,
        machine_limits("structure from motion"),
    ):
        decoded(request(tmp_path / "a.jpg"))
    assert caught.value.slug is Slug.OUT_OF_MEMORY
    assert not decoders()


def test_a_photo_whose_decoder_was_killed_is_read_at_the_second_try(tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(photo())
    link = tmp_path / "a.jpg"
    link.symlink_to(tmp_path / "pipe")

    def replace() -> None:
        (tmp_path / "new").symlink_to(tmp_path / "good.jpg")
        (tmp_path / "new").replace(link)

    with killing(tmp_path / "pipe", signal.SIGKILL, 1, replace):
        replies = decoded(request(link), request(tmp_path / "good.jpg"))
    assert all("metadata" in reply for reply in replies)


@pytest.mark.parametrize("number", [signal.SIGSEGV, pytest.param(signal.SIGABRT, marks=pytest.mark.slow)])
def test_a_photo_that_crashes_each_decoder_is_left_out(tmp_path: Path, number: int) -> None:
    for name in ("b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(photo())
    with killing(tmp_path / "a.jpg", number, 2):
        first, *others = decoded(*(request(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg")))
    assert first == {"reason": "its decoder crashed on it"}
    assert all("metadata" in reply for reply in others)


def test_a_stage_whose_decoders_are_all_killed_is_tried_again_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "abcd":
        (tmp_path / "in" / f"{name}.jpg").write_bytes(photo())
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.01):
            for pid in decoders():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        with pytest.raises(LostResource) as caught:
            run(tmp_path / "in", tmp_path / "jobs/out", SfmOptions(), Silent())
    finally:
        done.set()
        thread.join()
    assert caught.value.slug is Slug.OUT_OF_MEMORY
    assert "files open" not in str(caught.value)


def executable(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f'ulimit -v 8000; exec {sys.executable} "$@"', MemoryError),  # the interpreter itself finds no memory
        (f'ulimit -n 4; exec {sys.executable} "$@"', RuntimeError),
        ("echo broken installation >&2; exit 1", RuntimeError),
        ("kill -9 $$", MemoryError),
        ("exit 137", MemoryError),
    ],
)
def test_a_decoder_that_cannot_start_is_never_the_photos_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: type[Exception]
) -> None:
    monkeypatch.setattr(sys, "executable", executable(tmp_path / "python", script))
    with pytest.raises(expected) as caught:
        decoded(request(tmp_path / "a.jpg"))
    if "broken" in script:
        assert "broken installation" in str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EAGAIN])
def test_no_memory_and_no_process_for_a_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(LostResource), machine_limits("structure from motion"):
        decoded(request(tmp_path / "a.jpg"))


def test_a_bomb_of_scans_costs_nothing_and_is_left_out_by_name(tmp_path: Path) -> None:
    (tmp_path / "bomb.jpg").write_bytes(many_scans(20_000, 4000, 4000))
    (tmp_path / "good.jpg").write_bytes(many_scans(60))
    began = time.monotonic()
    bomb, good = decoded(request(tmp_path / "bomb.jpg"), request(tmp_path / "good.jpg"))
    assert bomb == {"reason": "it has more than 100 scans, each of which is a pass over the whole photo"}
    assert good["size"] == [160, 160]
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_zip_full_of_bombs_is_refused_in_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    for number in range(8):
        (tmp_path / "in" / f"{number}.jpg").write_bytes(many_scans(99, *LARGE))  # ten seconds each
    monkeypatch.setattr(decoder, "PHOTO_CPU_SECONDS", 1)
    monkeypatch.setattr(decoder_pool, "MAX_LOST", 1)
    with pytest.raises(Refused) as caught:
        run(tmp_path / "in", tmp_path / "jobs/out", SfmOptions(), Silent())
    assert caught.value.slug is Slug.NO_READABLE_IMAGES
    assert "it takes more than 1 seconds of computing to decode" in str(caught.value)


def test_all_photos_together_have_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_pool, "BASE_CPU_SECONDS", 0.0)
    monkeypatch.setattr(decoder_pool, "MEAN_CPU_SECONDS", 0.001)
    requests = []
    for number in range(8):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(grey_jpeg(1600, 1600))
        requests.append(request(path))
    replies = decoded(*requests)
    untried = [reply for reply in replies if reply == {"reason": decoder_pool._OVER_BUDGET}]
    assert 8 - 2 * decoder_pool.MAX_DECODERS <= len(untried) < 8
    monkeypatch.undo()
    assert cpu_budget([{"kind": "photo"}] * 100) == 1120
    assert cpu_budget([{"kind": "video"}] * 10_000) == 6 * 3600


@pytest.mark.parametrize("longest", [pytest.param(1600, marks=pytest.mark.slow), FULL_SIZE])
def test_a_photo_of_200_megapixels_is_used(tmp_path: Path, longest: int) -> None:
    """Its copy is measured in the stage's own process: of full size where a COLMAP model came with the photos."""
    (tmp_path / "a.jpg").write_bytes(grey_jpeg(*LARGE))
    (reply,) = decoded(request(tmp_path / "a.jpg", longest))
    assert (reply["metadata"]["width"], reply["metadata"]["height"]) == LARGE
    assert reply["size"] == ([1600, 1200] if longest == 1600 else list(LARGE))
    assert measure_photos({"a": Path(request(tmp_path / "a.jpg")["copy"])}, 1600, lambda _: None)["a"].brightness > 0.4


def test_a_photo_of_more_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(grey_jpeg(16_384, 12_288))
    assert decoded(request(tmp_path / "a.jpg")) == [{"reason": "it has more than 200 megapixels"}]

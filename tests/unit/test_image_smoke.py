"""What a job does without, an image must have: its last build step fails where that is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import pytest

from services.compress.smoke import write_grey_video
from services.compress.viewing.video import SIZE, VideoError


def test_an_image_without_pyav_cannot_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoError, match="PyAV cannot be loaded"):
        write_grey_video(tmp_path / "grey.mp4")
    assert not list(tmp_path.iterdir())


def test_the_video_of_a_build_is_a_whole_one(tmp_path: Path) -> None:
    size = write_grey_video(tmp_path / "grey.mp4")
    assert size == (tmp_path / "grey.mp4").stat().st_size
    with av.open(str(tmp_path / "grey.mp4")) as video:
        (frame,) = video.decode(video=0)
    assert (frame.width, frame.height) == SIZE

"""Writes pictures as a video that every browser plays: H.264 in MP4, by PyAV, which brings FFmpeg and x264."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FRAMES_PER_SECOND: Final = 30
SIZE: Final = (1280, 720)
QUALITY: Final = "23"  # x264's constant rate factor
PRESET: Final = "veryfast"  # twice as fast as `fast` for a tenth more bytes
THREADS: Final = 2  # each keeps pictures: more of them would cost memory that the model may need


class VideoError(Exception):
    """PyAV could not write the video. `str(error)` says why."""


class VideoWriter:
    """Takes one picture after the other; see `write_video`."""

    def __init__(self, container: Any, stream: Any, av: Any) -> None:
        self._container, self._stream, self._av = container, stream, av
        self._written = 0

    def write(self, pixels: NDArray[np.uint8], times: int = 1) -> None:
        """Append a picture [H,W,3], shown for so many frames; one of another size is scaled.

        Raises:
            VideoError: it cannot be encoded.
        """
        with _failures_of(self._av):
            width, height = SIZE
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
                width, height, "yuv420p", dst_colorspace="itu709", interpolation="BICUBIC"
            )
            for _ in range(times):
                frame.pts, frame.time_base = self._written, Fraction(1, FRAMES_PER_SECOND)
                self._container.mux(self._stream.encode(frame))
                self._written += 1

    def close(self) -> None:
        """Write what is left.

        Raises:
            VideoError: it cannot be encoded.
        """
        with _failures_of(self._av):
            self._container.mux(self._stream.encode())
            self._container.close()


@contextmanager
def write_video(path: Path) -> Iterator[VideoWriter]:
    """A writer of a video of `SIZE`; when the block ends without an error, the file is whole, otherwise removed.

    Raises:
        VideoError: it cannot be written.
    """
    av = _import_av()
    done = False
    try:
        with _failures_of(av):
            container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        try:
            writer = VideoWriter(container, _make_stream(container, av), av)
            yield writer
            writer.close()
            done = True
        finally:
            if not done:
                with _ignoring_failures(av):
                    container.close()
    finally:
        if not done:
            path.unlink(missing_ok=True)


def _make_stream(container: Any, av: Any) -> Any:
    with _failures_of(av):
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": QUALITY, "preset": PRESET})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.thread_count = THREADS
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709, and so is the reformat above
        context.color_range = 1  # limited
        return stream


def _import_av() -> Any:
    try:
        import av  # noqa: PLC0415  a model comes first: without PyAV there is only no video
    except ImportError as error:
        raise VideoError(f"PyAV cannot be loaded: {error}") from error
    return av


@contextmanager
def _failures_of(av: Any) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError) as error:
        raise VideoError(str(error)) from error


@contextmanager
def _ignoring_failures(av: Any) -> Iterator[None]:
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError, RuntimeError):
        return

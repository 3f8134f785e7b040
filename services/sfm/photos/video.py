"""Takes frames out of a video: the sharpest of each stretch of time, and none where the camera has not moved.

Runs in the decoder process only. PyAV brings FFmpeg.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from services.sfm.photos.decode import QUALITY, LeftOutError, check_size
from services.sfm.photos.hdr import ToneMapper, Transfer

MAX_SECONDS: Final = 3600.0  # two batteries; at the most frames, one every few seconds
MAX_DECODING_SECONDS: Final = 1200.0
MAX_FRAME_PIXELS: Final = 36_000_000  # 8K and a little
MAX_FRAMES_READ: Final = 250_000  # an hour at 60 frames a second, and room
FRAMES_PER_SECOND: Final = 2.0  # more of a drone's flight shows the same again
MEASURED_FRAMES: Final = 5  # of each stretch, whose sharpness is compared
MIN_DIFFERENCE: Final = 2.0  # mean difference of small pictures in grey levels of 255; below, nothing has moved
_SMALL: Final = (64, 36)
_ORIENTATIONS: Final = {90: 8, 180: 3, 270: 6}
_MEASURED_WIDTH: Final = 480
_CONTAINERS: Final = ("mov", "mp4", "m4a", "3gp", "3g2", "mj2")
_PROTOCOLS: Final = "file"  # a playlist or reference inside the file must reach nothing else

Send = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class VideoFrame:
    """One frame that was written: its file's name and its time from the video's start."""

    file: str
    seconds: float


def write_frames(path: Path, folder: Path, max_frames: int, send: Send) -> tuple[list[VideoFrame], int]:
    """Write at most `max_frames` frames as JPEGs into `folder`, in order; their names hold their times.

    Returns them, and the number of stretches of which each could have given one.

    `send` is called with `{"done", "total"}` in stretches of the video.

    Raises:
        LeftOutError: it is too long or too large, holds no pictures, or takes too long to decode.
        av.error.FFmpegError: it is broken from its start.
    """
    with av.open(str(path), options={"protocol_whitelist": _PROTOCOLS}, container_options={}) as container:
        if not set(container.format.name.split(",")) & set(_CONTAINERS):
            raise LeftOutError(f"it is no MP4 or MOV inside, but {container.format.name}")
        if not container.streams.video:
            raise LeftOutError("it holds no pictures")
        stream = container.streams.video[0]
        check_size(stream.codec_context.width, stream.codec_context.height)
        length = _duration_s(container, stream)
        stretches = max(1, min(max_frames, int(length * FRAMES_PER_SECOND)))
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 2
        folder.mkdir(parents=True, exist_ok=True)
        return _write_best(_decode(container, stream), length, stretches, folder, send), stretches


def _duration_s(container: Any, stream: Any) -> float:
    """As the stream, else the container states it. What decodes beyond is not used."""
    durations = [float(stream.duration * stream.time_base)] if stream.duration else []
    durations += [container.duration / av.time_base] if container.duration else []
    if not durations or not 0 < durations[0] <= MAX_SECONDS:
        raise LeftOutError(f"it must be at most {MAX_SECONDS / 60:.0f} minutes long, and say how long it is")
    return durations[0]


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    """Frames until the first that cannot be decoded, within the limits of size and time."""
    until = time.monotonic() + MAX_DECODING_SECONDS
    try:
        for number, frame in enumerate(container.decode(stream)):
            if frame.width * frame.height > MAX_FRAME_PIXELS or number > MAX_FRAMES_READ:
                raise LeftOutError("it has too many frames, or too large ones")
            if time.monotonic() > until:
                raise LeftOutError(f"it takes more than {MAX_DECODING_SECONDS / 60:.0f} minutes to decode")
            yield frame
    except av.error.FFmpegError:
        return  # a recording that was cut off: what came before is good


def _write_best(frames: Iterator[Any], length: float, stretches: int, folder: Path, send: Send) -> list[VideoFrame]:
    written: list[VideoFrame] = []
    mappers: dict[Any, ToneMapper] = {}
    last = np.full(_SMALL[::-1], -255.0)  # different from any picture
    for number, (seconds, best) in enumerate(_sharpest(frames, length, stretches)):
        send({"done": number, "total": stretches})
        small = best.reformat(*_SMALL, format="gray").to_ndarray().astype(float)
        if np.abs(small - last).mean() < MIN_DIFFERENCE:
            continue
        last = small
        frame = VideoFrame(f"{seconds:09.3f}.jpg", seconds)
        picture = Image.fromarray(pixels_of(best, mappers))
        check_size(*picture.size)
        picture.save(folder / frame.file, "JPEG", quality=QUALITY, subsampling=0, exif=_turned(best.rotation))
        written.append(frame)
    return written


def pixels_of(frame: Any, mappers: dict[Any, ToneMapper]) -> NDArray[np.uint8]:
    """The frame as sRGB; `mappers` keeps what HDR needs from one frame to the next."""
    if frame.color_trc not in list(Transfer):
        pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
        return pixels
    key = Transfer(frame.color_trc), frame.width, frame.height
    if key not in mappers:
        mappers[key] = ToneMapper(*key)
    return mappers[key].convert(frame)


def _turned(rotation: int) -> Image.Exif:
    """EXIF's orientation for a display matrix that turns by this many degrees counter-clockwise."""
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = _ORIENTATIONS.get(rotation % 360, 1)
    return tags


def _sharpest(frames: Iterator[Any], length: float, stretches: int) -> Iterator[tuple[float, Any]]:
    """Of each stretch its sharpest frame, and when it was."""
    stretch, step, next_measured = 0, length / stretches, 0.0
    best: tuple[float, float, Any] | None = None
    start: float | None = None
    for frame in frames:
        if frame.time is None:
            continue
        start = frame.time if start is None else start
        seconds = frame.time - start
        if seconds >= length:
            break
        if seconds >= (stretch + 1) * step and best is not None:
            yield best[1:]
            best = None
        stretch = int(seconds / step)
        if seconds < next_measured:
            continue
        next_measured = seconds + 0.9 * step / MEASURED_FRAMES
        sharpness = _sharpness(frame)
        if best is None or sharpness > best[0]:
            best = sharpness, seconds, frame
    if best is not None:
        yield best[1:]


def _sharpness(frame: Any) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000) of the small grey frame, for comparing neighbours."""
    width = min(_MEASURED_WIDTH, frame.width)
    height = max(3, frame.height * width // frame.width)
    grey: NDArray[np.float32] = frame.reformat(width, height, format="gray").to_ndarray().astype(np.float32)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.var(around - 4 * grey[1:-1, 1:-1]))

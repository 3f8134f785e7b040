"""The poster, and the flight as a video: both rendered by the rasteriser that proved the file."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.compress.proving.proof import Picture
from services.compress.proving.views import look_at
from services.compress.viewing.flight_path import FIELD_OF_VIEW, KEYS, FlightPath
from services.compress.viewing.survey import Array
from services.compress.viewing.video import FRAMES_PER_SECOND, SIZE, VideoError, write_video
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians

BACKGROUND: Final = (11 / 255, 14 / 255, 18 / 255)
"""The sky of the page, so that nothing jumps when the model takes the poster's place."""
MAX_POSTER_BYTES: Final = 200_000
THUMB_SIZE: Final = (256, 144)
MAX_THUMB_BYTES: Final = 16_000
FLIGHT_SECONDS: Final = 10
FRAMES: Final = FLIGHT_SECONDS * FRAMES_PER_SECOND
AIM: Final = 0.85  # of the seconds: what is planned for; the rest is for a machine that gets slower
LONGEST_HOLD: Final = 3  # frames for which a picture may be shown: ten pictures a second still look like a flight
SHARES: Final = (1.0, 0.75, 0.5)  # of the sides, at which pictures are rendered
CANDIDATES: Final = 6  # keys of the flight that may become the first view
CANDIDATE_SIZE: Final = (256, 144)
CANDIDATE_GAUSSIANS: Final = 50_000  # for pictures of that size, which take as long as large ones of all Gaussians

Render = Callable[[Camera, tuple[float, float, float]], Picture]
"""A picture [H,W,3] in 0..1 from a camera, in front of a background."""


@dataclass(frozen=True)
class FlightVideo:
    """What became of the video."""

    pictures: int = 0
    """That were rendered; those that are missing to 300 were shown longer."""
    size: tuple[int, int] = (0, 0)
    """Of the pictures that were rendered."""
    missed: str | None = None
    """Why there is none, a sentence."""


def camera_at(path: FlightPath, key: int, up: Array, size: tuple[int, int]) -> Camera:
    """The camera of one key."""
    return _camera(path.positions[key], path.targets[key], up, size)


def thin_out(model: Gaussians) -> Gaussians:
    """An even sample of at most `CANDIDATE_GAUSSIANS`, each with the area of those for which it stands, without SH."""
    step = -(-len(model) // CANDIDATE_GAUSSIANS)
    sample = model.without_sh().subset(slice(None, None, step))
    return replace(sample, scales=sample.scales + np.float32(np.log(step) / 2))


def best_key(path: FlightPath, up: Array, render: Render) -> int:
    """The key whose picture shows most of the model: fewest holes, and most to see. `render` may be of a sample."""
    if not path.is_closed:
        return 0  # the flight begins there
    keys = range(0, KEYS - 1, -(-KEYS // CANDIDATES))
    return max(keys, key=lambda key: _score(camera_at(path, key, up, CANDIDATE_SIZE), render))


def _score(camera: Camera, render: Render) -> float:
    """How much of the picture is opaque, and a little for contrast."""
    on_black, on_white = render(camera, (0.0, 0.0, 0.0)), render(camera, (1.0, 1.0, 1.0))
    return float(1 - np.mean(on_white - on_black)) + 0.5 * float(on_black.std())


def poster(picture: Picture) -> bytes:
    """A picture as a JPEG of less than 200 kB."""
    return _jpeg(Image.fromarray(_pixels(picture)), MAX_POSTER_BYTES)


def thumb(picture: Picture) -> bytes:
    """The same for a list of jobs: 256 x 144 pixels, less than 16 kB."""
    return _jpeg(Image.fromarray(_pixels(picture)).resize(THUMB_SIZE, Image.Resampling.LANCZOS), MAX_THUMB_BYTES)


def _jpeg(image: Image.Image, most: int) -> bytes:
    for quality in range(88, 20, -8):
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, progressive=True, optimize=True)
        if stream.tell() < most:
            break
    return stream.getvalue()


def fly(
    file: Path,
    path: FlightPath,
    up: Array,
    render: Render,
    seconds: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    poster_seconds: float = 0.0,
) -> FlightVideo:
    """Render the flight and write it as a video, within so many seconds, which the first pictures are measured by.

    Where they do not suffice, pictures are rendered smaller, and each shown for up to three frames; where even that
    takes too long, there is no video.

    Args:
        poster_seconds: what a picture of the full size took; one of the smallest takes no less than its share of that.
    """
    begun = clock()
    least = poster_seconds * SHARES[-1] ** 2 * FRAMES / LONGEST_HOLD
    planned = _plan(path, up, render, AIM * seconds, clock) if least < AIM * seconds else None
    if planned is None:
        return FlightVideo(
            missed=f"A flight takes longer to render than the {max(seconds, 0):.1f} s that the job has for it."
        )
    size, cost = planned
    pictures = frame = 0
    try:
        with write_video(file) as video:
            while frame < FRAMES:
                hold = _hold(cost, FRAMES - frame, begun + AIM * seconds - clock())
                hold = min(hold, LONGEST_HOLD, FRAMES - frame)
                before = clock()
                position, target = path_at(path, (frame + (hold - 1) / 2) / (FRAMES - 1))
                video.write(_pixels(render(_camera(position, target, up, size), BACKGROUND)), hold)
                cost += 0.2 * (clock() - before - cost)
                frame, pictures = frame + hold, pictures + 1
                progress.update(frame / FRAMES, "Rendering the flight")
                _check_time(begun + seconds - clock())
    except VideoError as error:
        return FlightVideo(missed=f"There is no video of the flight: {error}.")
    return FlightVideo(pictures, size)


def _check_time(left: float) -> None:
    if left < 0:  # something else takes the machine's time
        raise VideoError("the machine got too slow to render it in the time that the job has for it")


def path_at(path: FlightPath, share: float) -> tuple[Array, Array]:
    """Position and target at a share of the flight: a Catmull-Rom curve through the keys."""
    last = KEYS - 1
    at = min(share * last, last - 1e-9)
    key, rest = int(at), at - int(at)
    if path.is_closed:
        rows = [(key + step) % last for step in (-1, 0, 1, 2)]
    else:
        rows = [min(max(key + step, 0), last) for step in (-1, 0, 1, 2)]
    weights = 0.5 * np.array(
        [
            -rest + 2 * rest**2 - rest**3,
            2 - 5 * rest**2 + 3 * rest**3,
            rest + 4 * rest**2 - 3 * rest**3,
            -(rest**2) + rest**3,
        ]
    )
    return weights @ path.positions[rows], weights @ path.targets[rows]


def _plan(
    path: FlightPath, up: Array, render: Render, seconds: float, clock: Callable[[], float]
) -> tuple[tuple[int, int], float] | None:
    """The largest pictures that the seconds suffice for, and what one costs; None where they suffice for none."""
    spent = 0.0
    for share in SHARES:
        size = (round(share * SIZE[0]), round(share * SIZE[1]))
        begun = clock()
        for key in (0, KEYS // 2):
            render(camera_at(path, key, up, size), BACKGROUND)
        cost = 1.25 * (clock() - begun) / 2  # a quarter is for the encoder
        spent += clock() - begun
        if _hold(cost, FRAMES, seconds - spent) <= (1 if share > SHARES[-1] else LONGEST_HOLD):
            return size, cost
        if spent > 0.1 * seconds:
            return None
    return None


def _hold(cost: float, frames: int, seconds: float) -> int:
    """For how many frames each picture must be shown, so that the rest is done in so many seconds."""
    return int(np.ceil(max(frames * cost / max(seconds, 1e-9), 1e-9)))


def _camera(position: Array, target: Array, up: Array, size: tuple[int, int]) -> Camera:
    return look_at(position, target, up, size, size[0] / 2 / np.tan(np.radians(FIELD_OF_VIEW / 2)))


def _pixels(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(picture * 255 + 0.5, np.uint8)

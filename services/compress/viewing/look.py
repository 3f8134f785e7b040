"""Writes how a model is looked at first: `viewer.json`, `poster.jpg`, `thumb.jpg` and `flight.mp4`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from services.compress.core import Compressed
from services.compress.proving.density import Density
from services.compress.proving.views import orbit_cameras
from services.compress.viewing.flight_path import plan_path
from services.compress.viewing.pictures import BACKGROUND, best_key, camera_at, fly, poster, thin_out, thumb
from services.compress.viewing.settings import make_settings, model_up
from services.compress.viewing.survey import make_survey
from services.compress.viewing.video import SIZE
from spaceport.files import write_atomic
from spaceport.pipeline.reports.sfm import Georeference
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera

VIEWER, POSTER, THUMB, FLIGHT = "viewer.json", "poster.jpg", "thumb.jpg", "flight.mp4"
SHARE_OF_JOB: Final = 0.1
ORBIT_CAMERAS: Final = 4  # that stand in for a survey's, where there are none


def seconds_for_flight(job_seconds: float) -> float:
    """How long a flight may take, so that it is a tenth of a job that took so long without it."""
    return job_seconds * SHARE_OF_JOB / (1 - SHARE_OF_JOB)


def write_look(
    folder: Path,
    compressed: Compressed,
    cameras: Sequence[Camera],
    georeference: Georeference | None,
    seconds: float | None,
    progress: Progress,
) -> dict[str, Any]:
    """Write the four files into `folder`.

    Args:
        compressed: the model.
        cameras: of the photos; made ones around the model are taken where there are none.
        georeference: of its frame.
        seconds: that the video of the flight may take; None makes no video.

    Returns:
        For the report: `look_seconds`, and, unless `seconds` is None, `flight_pictures` and `flight_size`, or
        `flight_missed`.
    """
    begun = time.monotonic()
    model = compressed.encoded.gaussians
    up = model_up(georeference, cameras)
    path = plan_path(make_survey(model, cameras or orbit_cameras(Density(model).bulk, ORBIT_CAMERAS), up))

    def render(camera: Camera, background: tuple[float, float, float]) -> Any:
        return compressed.prover.render(model, camera, background)

    sample = thin_out(model)
    path = path.from_key(best_key(path, up, lambda camera, colour: compressed.prover.render(sample, camera, colour)))
    write_atomic(folder / VIEWER, (make_settings(path, 0, up, georeference).model_dump_json(indent=1) + "\n").encode())
    before = time.monotonic()
    picture = render(camera_at(path, 0, up, SIZE), BACKGROUND)
    poster_seconds = time.monotonic() - before
    write_atomic(folder / POSTER, poster(picture))
    write_atomic(folder / THUMB, thumb(picture))
    figures: dict[str, Any] = {}
    if seconds is not None:
        left = seconds - (time.monotonic() - begun)
        video = fly(folder / FLIGHT, path, up, render, left, progress, poster_seconds=poster_seconds)
        figures = {"flight_missed": video.missed} if video.missed else {
            "flight_pictures": video.pictures, "flight_size": list(video.size)
        }  # fmt: skip
    return {"look_seconds": round(time.monotonic() - begun, 2)} | figures

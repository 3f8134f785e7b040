"""live.json and live.jpg: how a training is doing, for whoever watches it. Nothing that goes wrong here ends it."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from services.train.dataset import limit_size
from services.train.log import LogEntry
from services.train.rasterisers.protocol import Rasteriser, Tensors
from services.train.training_set import TrainingSet
from spaceport.files import write_atomic
from spaceport.pipeline.contract import now
from spaceport.pipeline.live import (
    LIVE_JSON,
    LIVE_PICTURE,
    MAX_PICTURE_BYTES,
    Live,
    LivePicture,
    LiveScore,
    thin_out,
)

EVERY_SECONDS: Final = 30.0
"""Between two pictures."""
FIRST_SECONDS: Final = 3.0
"""Of training, before the first one: sooner it shows nothing yet."""
TIME_SHARE: Final = 0.01
"""The part of the training's time that pictures may take; the last one may take as long again."""
SIDE: Final = 480
"""Longest side of each half, pixels."""
QUALITIES: Final = (85, 70, 50, 30)

log = logging.getLogger(__name__)


class LiveView:
    """Writes both files while a training runs.

    Args:
        folder: where they are.
        training_set: of which one validation photo is shown.
        rasteriser: of the training.
        sh_degree: of the model that is shown.
        clock: seconds.
    """

    def __init__(
        self,
        folder: Path,
        training_set: TrainingSet,
        rasteriser: Rasteriser,
        sh_degree: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._photos = training_set.photos
        validation = training_set.validation
        self._camera = limit_size(validation[len(validation) // 2], SIDE)
        self._rasteriser = rasteriser
        self._sh_degree = sh_degree
        self._clock = clock
        self._began = clock()
        self._due = FIRST_SECONDS
        self._spent = self._longest = 0.0
        self._scores = 0
        self._picture: LivePicture | None = None
        self._is_broken = False

    def update(self, parameters: Tensors, iteration: int, entries: list[LogEntry]) -> None:
        """Write what is due. Cheap while nothing is."""
        if self._is_broken:
            return
        try:
            is_drawn = self._is_due() and self._draw(parameters, iteration)
            if is_drawn or len(entries) != self._scores:
                self._write(entries)
        except Exception as error:  # whatever it is, the training goes on
            self._is_broken = True
            log.warning("no live picture from here on: %s", error, exc_info=True)

    def remove(self) -> None:
        """Remove both files: the training is over."""
        for name in (LIVE_JSON, LIVE_PICTURE):
            with suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)

    def _is_due(self) -> bool:
        seconds = self._clock() - self._began
        return seconds >= self._due and self._spent + self._longest <= TIME_SHARE * seconds

    def _draw(self, parameters: Tensors, iteration: int) -> bool:
        """Whether there is a new picture."""
        began = self._clock()
        photo = self._photos.at(self._camera)
        render = self._rasteriser.render(parameters, self._camera, self._sh_degree)
        model = (np.clip(np.nan_to_num(render), 0, 1) * 255 + 0.5).astype(np.uint8)
        body = _encode(np.concatenate([photo, model], axis=1))
        if body:
            write_atomic(self._folder / LIVE_PICTURE, body)
            self._picture = LivePicture(
                at=now(), iteration=iteration, photo=self._camera.name[-255:], held_out=self._camera.held_out
            )
        ended = self._clock()
        self._spent += ended - began
        self._longest = max(self._longest, ended - began)
        self._due = ended - self._began + EVERY_SECONDS
        return body is not None

    def _write(self, entries: list[LogEntry]) -> None:
        self._scores = len(entries)
        series = [LiveScore(iteration=each.iteration, psnr=round(each.psnr, 3)) for each in thin_out(entries)]
        live = Live(series=series, picture=self._picture)
        write_atomic(self._folder / LIVE_JSON, live.model_dump_json().encode())


def _encode(pixels: npt.NDArray[np.uint8]) -> bytes | None:
    """[H,W,3] uint8 as a JPEG that is small enough; None where it cannot be."""
    picture = Image.fromarray(pixels)
    for quality in QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= MAX_PICTURE_BYTES:
            return buffer.getvalue()
    return None

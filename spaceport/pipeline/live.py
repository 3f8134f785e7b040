"""What a running training shows of itself: `gaussian/live.json`, a curve, and `gaussian/live.jpg`, a picture.

No manifest names them. Whoever writes them does so as well as it can, and whoever reads them does without where they
are missing or damaged; they mean nothing once the training has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

LIVE_JSON, LIVE_PICTURE = "live.json", "live.jpg"
MAX_POINTS: Final = 64
MAX_JSON_BYTES: Final = 16_384
MAX_PICTURE_BYTES: Final = 100_000

Item = TypeVar("Item")
Iteration = Annotated[int, Field(ge=0, le=10**9)]


class LiveScore(BaseModel):
    """The PSNR of the validation photos, dB, after so many iterations."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    iteration: Iteration
    psnr: Annotated[float, Field(ge=-1000, le=1000)]


class LivePicture(BaseModel):
    """Of what the picture is: on its left half a photo, on its right half the model from the same place."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    at: datetime
    iteration: Iteration
    photo: Annotated[str, Field(max_length=255)]
    held_out: bool


class Live(BaseModel):
    """The content of `live.json`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: Literal[1] = 1
    series: Annotated[list[LiveScore], Field(max_length=MAX_POINTS)] = []
    picture: LivePicture | None = None


def thin_out(items: Sequence[Item], most: int = MAX_POINTS) -> list[Item]:
    """At most `most` of the items, evenly, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]

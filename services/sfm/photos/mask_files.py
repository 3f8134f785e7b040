"""Has the masks of an upload written under the names that COLMAP expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.sfm.photo import Unreadable
from services.sfm.photos.decoder_pool import decode_all
from services.sfm.photos.read import PhotoCopy
from services.sfm.wording import count
from spaceport.pipeline.reports.sfm import Finding, Verdict

NO_PHOTO: Final = "no photo has its name"
ANOTHER: Final = "its photo has another mask"


def write_masks(
    extracted: Path,
    masks: dict[str, str | None],
    copies: dict[str, PhotoCopy],
    folder: Path,
    check: Callable[[], None],
) -> tuple[list[str], list[Unreadable]]:
    """Write the masks into `folder`; returns the photos that have one, and the masks that are of no use.

    `masks`: the photo of each. Those of photos that are not used are passed over.

    Raises:
        OSError: the disk is full.
    """
    pairs: dict[str, str] = {}  # photo to mask
    bad = [Unreadable(mask, NO_PHOTO) for mask, photo in masks.items() if photo is None]
    for mask, photo in masks.items():
        if photo in pairs:
            bad.append(Unreadable(mask, ANOTHER))
        elif photo in copies:
            pairs[photo] = mask
    if not pairs:
        return [], bad
    folder.mkdir()
    requests = [
        {
            "kind": "mask",
            "path": str(extracted / mask),
            "copy": str(folder / f"{copies[photo].file}.png"),
            "size": (copies[photo].width, copies[photo].height),
        }
        for photo, mask in pairs.items()
    ]
    replies = dict(zip(pairs, decode_all(requests, lambda _: None, check), strict=True))
    bad += [Unreadable(pairs[photo], reply["reason"]) for photo, reply in replies.items() if reply]
    return [photo for photo, reply in replies.items() if not reply], bad


def about_bad_masks(bad: list[Unreadable], total: int) -> list[Finding]:
    """A warning about masks of no use, of this many in all."""
    if not bad:
        return []
    sentence = f"{len(bad)} of {count(total, 'mask')} not used. {bad[0].name}: {bad[0].reason}."
    return [Finding(level=Verdict.WARN, sentence=sentence)]

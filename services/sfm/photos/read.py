"""Decodes the photos of an upload by the decoder processes, and makes what they reply typed again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from services.sfm.photo import LensCalibration, PhotoMetadata, Unreadable
from services.sfm.photos.decoder_pool import Reply, decode_all
from services.sfm.photos.levels import FULL, Levels, common_levels
from services.sfm.photos.projection import Projection
from services.sfm.photos.selection import band_by_name, stem_of
from services.sfm.photos.traits import PhotoTraits, Spectrum

DEEP_SUFFIXES: Final = frozenset({".tif", ".tiff", ".png"})  # formats that may have 16 bits


class IngestProgress(Protocol):
    """Called as the work goes on; both methods may raise to end it."""

    def count(self, phase: str, done: int, total: int) -> None: ...
    def check(self) -> None: ...


@dataclass(frozen=True)
class PhotoCopy:
    """The JPEG that COLMAP gets for a photo: its name in the folder of copies, and its size in pixels."""

    file: str
    width: int
    height: int


@dataclass(frozen=True)
class ReadPhotos:
    """What could be read, with its copies by name, and what could not."""

    photos: list[tuple[PhotoMetadata, PhotoTraits]]
    unreadable: list[Unreadable]
    copies: dict[str, PhotoCopy]


def read_photos(extracted: Path, names: list[str], copies: Path, longest: int, progress: IngestProgress) -> ReadPhotos:
    """Decode the photos of these names below `extracted`; their copies for COLMAP are written into `copies`.

    Raises:
        OSError: the disk is full.
    """
    copies.mkdir(parents=True)
    files = {name: f"{number:06d}.jpg" for number, name in enumerate(names)}
    levels = _levels(extracted, names, progress.check)
    requests = [
        {
            "kind": "photo",
            "path": str((extracted / name).absolute()),
            "name": name,
            "copy": str((copies / file).absolute()),
            "longest": longest,
            "levels": levels.get(name, FULL),
        }
        for name, file in files.items()
    ]
    replies = decode_all(requests, lambda done: progress.count("reading", done, len(names)), progress.check)
    read = ReadPhotos([], [], {})
    for name, reply in zip(names, replies, strict=True):
        if "metadata" not in reply:
            read.unreadable.append(Unreadable(name, reply.get("reason", "")))
            continue
        read.photos.append((_parse_metadata(reply["metadata"]), _parse_traits(reply["traits"])))
        read.copies[name] = PhotoCopy(files[name], *reply["size"])
    return read


def _levels(extracted: Path, names: list[str], check: Callable[[], None]) -> dict[str, Levels]:
    """The levels of each photo of 16 bits, which it has in common with those of its kind."""
    names = [name for name in names if PurePosixPath(name).suffix.lower() in DEEP_SUFFIXES]
    requests = [{"kind": "levels", "path": str((extracted / name).absolute())} for name in names]
    replies = decode_all(requests, lambda _: None, check) if requests else []
    kinds: dict[str, dict[str, Levels]] = defaultdict(dict)
    for name, reply in zip(names, replies, strict=True):
        if "levels" in reply:
            low, high = reply["levels"]
            kinds[f"{reply['of']} {band_by_name(stem_of(name), is_tiff=True)}"][name] = low, high
    common = {kind: common_levels(levels.values()) for kind, levels in kinds.items()}
    return {name: common[kind] for kind, levels in kinds.items() for name in levels}


def _parse_metadata(reply: Reply) -> PhotoMetadata:
    fields = dict(reply)
    for field_name in ("position", "position_std_m"):
        fields[field_name] = tuple(fields[field_name]) if fields[field_name] else None
    fields["calibration"] = LensCalibration(**fields["calibration"]) if fields["calibration"] else None
    fields["taken_at"] = datetime.fromisoformat(fields["taken_at"]) if fields["taken_at"] else None
    return PhotoMetadata(**fields)


def _parse_traits(reply: Reply) -> PhotoTraits:
    projection, spectrum = Projection(reply["projection"]), Spectrum(reply["spectrum"])
    return PhotoTraits(**{**reply, "projection": projection, "spectrum": spectrum})

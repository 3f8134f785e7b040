"""Ingests an upload: unpacks it, takes frames out of videos, decodes every photo, reads the files beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from services.sfm.messages import MASKS
from services.sfm.photo import LensCalibration, PhotoMetadata, Unreadable
from services.sfm.photos.decoder_pool import Reply, decode_all
from services.sfm.photos.geo_files import (
    ControlPoint,
    GeoRow,
    apply_geo_positions,
    parse_control_points,
    parse_geo,
    read_text,
)
from services.sfm.photos.unpack import unpack
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.reports.sfm import IngestReport
from spaceport.pipeline.uploads.kinds import CONTROL_POINTS, Kind, classify, photo_of_mask, photo_stem
from spaceport.pipeline.uploads.photo_zip import ExtractResult

MAX_FRAMES: Final = 400  # of all videos together
MIN_FRAMES: Final = 8  # of each
FULL_SIZE: Final = 1 << 16  # pixels: no photo is longer


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
class IngestResult:
    """What was ingested. `copies` are by photo name; `masked` names the photos that have a mask."""

    photos: list[PhotoMetadata | Unreadable]
    copies: dict[str, PhotoCopy]
    masked: list[str] = field(default_factory=list)
    control_points: list[ControlPoint] = field(default_factory=list)
    left_out: list[Unreadable] = field(default_factory=list)
    """Files other than photos that are of no use, and why."""
    model_files: list[str] = field(default_factory=list)
    """Parts of COLMAP models, below `extracted/`."""

    @property
    def readable(self) -> list[PhotoMetadata]:
        return [photo for photo in self.photos if isinstance(photo, PhotoMetadata)]

    def report(self) -> IngestReport:
        return IngestReport(
            videos=sorted({photo.video for photo in self.readable if photo.video}),
            masks=len(self.masked),
            control_points=len(self.control_points),
            left_out={file.name: file.reason for file in self.left_out},
        )


def ingest(source: Path, extracted: Path, copies: Path, longest: int, progress: IngestProgress) -> IngestResult:
    """Fill `extracted/` with the files as they came and the frames of videos, and `copies/` with JPEGs for COLMAP.

    `copies/masks/` gets a mask for each photo that has one. Copies of other than JPEGs are at most `longest` pixels
    long, but have full size where a COLMAP model comes with them, whose cameras are those of the originals.

    Raises:
        Refused: what `unpack` refuses; bad_positions, where a text file cannot be read; bad_prior_model, where a part
            of a model cannot be unpacked.
        OSError: the disk is full.
    """
    unpacked = _unpack(source, extracted, progress)
    kinds = classify(file.name for file in unpacked)
    damaged = {file.name: file.reason or "" for file in unpacked if file.path is None}
    _check_model_files(kinds, damaged)
    names = {kind: [name for name, each in kinds.items() if each is kind and name not in damaged] for kind in Kind}
    geo, control_points = _read_geo_files(extracted, names[Kind.TEXT])
    frames, bad_videos = _extract_frames(extracted, names[Kind.VIDEO], progress)
    longest_copy = FULL_SIZE if names[Kind.MODEL] else longest
    photos, photo_copies = _decode_photos(
        extracted, sorted({*names[Kind.PHOTO], *frames}), copies, longest_copy, progress
    )
    readable = [
        replace(photo, video=frames.get(photo.name, "")) for photo in photos if isinstance(photo, PhotoMetadata)
    ]
    unreadable = [photo for photo in photos if isinstance(photo, Unreadable)]
    all_photos: list[PhotoMetadata | Unreadable] = [
        *apply_geo_positions(readable, geo),
        *unreadable,
        *_unreadable(damaged),
        *bad_videos,
    ]
    masked, bad_masks = _write_masks(extracted, names[Kind.MASK], photo_copies, copies / MASKS, progress.check)
    all_photos.sort(key=lambda photo: photo.name)
    return IngestResult(all_photos, photo_copies, masked, control_points, bad_masks, names[Kind.MODEL])


def _unpack(source: Path, extracted: Path, progress: IngestProgress) -> list[ExtractResult]:
    done = 0

    def on_file(_: ExtractResult, total: int) -> None:
        nonlocal done
        done += 1
        progress.count("unpacking", done, total)

    return unpack(source, extracted, on_file)


def _check_model_files(kinds: dict[str, Kind], damaged: dict[str, str]) -> None:
    for name, reason in damaged.items():
        if kinds.get(name) is Kind.MODEL:
            raise Refused(Slug.BAD_PRIOR_MODEL, detail=f"{name} cannot be unpacked, {reason}")


def _unreadable(damaged: dict[str, str]) -> list[Unreadable]:
    return [Unreadable(name, reason) for name, reason in damaged.items()]


def _read_geo_files(extracted: Path, names: list[str]) -> tuple[dict[str, GeoRow], list[ControlPoint]]:
    """Of each kind the file that is nearest to the top folder."""
    geo: dict[str, GeoRow] = {}
    control_points: list[ControlPoint] = []
    for name in sorted(names, key=lambda name: name.count("/"), reverse=True):
        try:
            if name.lower().endswith(CONTROL_POINTS):
                control_points = parse_control_points(read_text(extracted / name))
            else:
                geo = parse_geo(read_text(extracted / name))
        except ValueError as error:
            raise Refused(Slug.BAD_POSITIONS, name=name, detail=error) from None
    return geo, control_points


def _extract_frames(
    extracted: Path, videos: list[str], progress: IngestProgress
) -> tuple[dict[str, str], list[Unreadable]]:
    """The video of each frame, by the frame's name, which holds its time; and the videos without any."""
    max_frames = max(MIN_FRAMES, MAX_FRAMES // max(1, len(videos)))
    folders = {video: f"{video}.frames" for video in videos}
    requests = [
        {
            "kind": "video",
            "path": str(extracted / video),
            "folder": str(extracted / folders[video]),
            "max_frames": max_frames,
        }
        for video in videos
    ]

    def on_share(share: float) -> None:
        progress.count("frames", round(100 * share), 100)

    replies = decode_all(requests, lambda _: None, progress.check, on_share=on_share)
    frames: dict[str, str] = {}
    bad = []
    for video, reply in zip(videos, replies, strict=True):
        if not reply.get("frames"):
            bad.append(Unreadable(video, reply.get("reason", "it shows nothing")))
        frames |= {f"{folders[video]}/{file}": video for file, _ in reply.get("frames", ())}
    return frames, bad


def _decode_photos(
    extracted: Path, names: list[str], copies: Path, longest: int, progress: IngestProgress
) -> tuple[list[PhotoMetadata | Unreadable], dict[str, PhotoCopy]]:
    copies.mkdir(parents=True)
    files = {name: f"{number:06d}.jpg" for number, name in enumerate(names)}
    requests = [
        {
            "kind": "photo",
            "path": str((extracted / name).absolute()),
            "name": name,
            "copy": str((copies / file).absolute()),
            "longest": longest,
        }
        for name, file in files.items()
    ]
    replies = decode_all(requests, lambda done: progress.count("reading", done, len(names)), progress.check)
    photos = [_parse_photo(name, reply) for name, reply in zip(names, replies, strict=True)]
    made = {
        photo.name: PhotoCopy(files[photo.name], *reply["size"])
        for photo, reply in zip(photos, replies, strict=True)
        if isinstance(photo, PhotoMetadata)
    }
    return photos, made


def _parse_photo(name: str, reply: Reply) -> PhotoMetadata | Unreadable:
    if "metadata" not in reply:
        return Unreadable(name, reply.get("reason", ""))
    fields = dict(reply["metadata"])
    for field_name in ("position", "position_std_m"):
        fields[field_name] = tuple(fields[field_name]) if fields[field_name] else None
    fields["calibration"] = LensCalibration(**fields["calibration"]) if fields["calibration"] else None
    fields["taken_at"] = datetime.fromisoformat(fields["taken_at"]) if fields["taken_at"] else None
    return PhotoMetadata(**fields)


def _write_masks(
    extracted: Path, masks: list[str], copies: dict[str, PhotoCopy], folder: Path, check: Callable[[], None]
) -> tuple[list[str], list[Unreadable]]:
    """Photos that have a mask, which is written under the name that COLMAP expects, and the masks that are unusable."""
    photos = {photo_stem(name): name for name in copies}
    pairs = [(mask, photos[stem]) for mask in masks if (stem := photo_of_mask(mask)) in photos]
    if not pairs:
        return [], []
    folder.mkdir()
    requests = [
        {
            "kind": "mask",
            "path": str(extracted / mask),
            "copy": str(folder / f"{copies[photo].file}.png"),
            "size": (copies[photo].width, copies[photo].height),
        }
        for mask, photo in pairs
    ]
    replies = decode_all(requests, lambda _: None, check)
    bad = [Unreadable(mask, reply["reason"]) for (mask, _), reply in zip(pairs, replies, strict=True) if reply]
    unusable = {mask.name for mask in bad}
    return [photo for mask, photo in pairs if mask not in unusable], bad

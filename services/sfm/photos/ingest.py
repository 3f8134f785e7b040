"""Ingests an upload: unpacks it, takes frames out of videos, decodes every photo, reads the files beside them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from services.sfm.messages import MASKS
from services.sfm.photo import PhotoMetadata, Unreadable
from services.sfm.photos.frames import extract_frames
from services.sfm.photos.geo_files import (
    ControlPoint,
    GeoRow,
    about_unknown_names,
    apply_geo_positions,
    parse_control_points,
    parse_geo,
    read_text,
)
from services.sfm.photos.mask_files import about_bad_masks, write_masks
from services.sfm.photos.read import IngestProgress, PhotoCopy, read_photos
from services.sfm.photos.selection import Selection, select_photos
from services.sfm.photos.unpack import unpack
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.reports.sfm import Finding, IngestReport
from spaceport.pipeline.uploads.kinds import CONTROL_POINTS, Kind, classify
from spaceport.pipeline.uploads.mask_names import find_masks
from spaceport.pipeline.uploads.photo_zip import ExtractResult

FULL_SIZE: Final = 1 << 16  # pixels: no photo is longer


@dataclass(frozen=True)
class IngestResult:
    """What was ingested. `copies` are by photo name; `masked` names the photos that have a mask."""

    photos: list[PhotoMetadata | Unreadable]
    copies: dict[str, PhotoCopy]
    masked: list[str] = field(default_factory=list)
    control_points: list[ControlPoint] = field(default_factory=list)
    left_out: list[Unreadable] = field(default_factory=list)
    """Files other than photos, and other pictures than those that the model is made from, and why."""
    model_files: list[str] = field(default_factory=list)
    """Parts of COLMAP models, below `extracted/`."""
    findings: list[Finding] = field(default_factory=list)
    """About the files as a whole: what kinds of photos are left out, videos with few frames."""

    @property
    def readable(self) -> list[PhotoMetadata]:
        return [photo for photo in self.photos if isinstance(photo, PhotoMetadata)]

    @property
    def unreadable(self) -> list[Unreadable]:
        return [photo for photo in self.photos if isinstance(photo, Unreadable)]

    def report(self) -> IngestReport:
        return IngestReport(
            videos=sorted({photo.video for photo in self.readable if photo.video}),
            masks=len(self.masked),
            control_points=len(self.control_points),
            left_out={file.name: file.reason for file in self.left_out},
        )


def ingest(source: Path, extracted: Path, copies: Path, longest: int, progress: IngestProgress) -> IngestResult:
    """Fill `extracted/` with the files as they came and the frames of videos, and `copies/` with JPEGs for COLMAP.

    `copies/masks/` gets a mask for each photo that has one. Copies are at most `longest` pixels long, but of full
    size where a COLMAP model comes with them, whose cameras are those of the originals.

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
    geo, control_points = _read_geo_files(extracted, names[Kind.TEXT], names[Kind.PHOTO])
    videos = extract_frames(extracted, names[Kind.VIDEO], progress)
    read = read_photos(
        extracted,
        sorted({*names[Kind.PHOTO], *videos.frames}),
        copies,
        FULL_SIZE if names[Kind.MODEL] else longest,
        progress,
    )
    selection = Selection() if names[Kind.MODEL] else select_photos(read.photos)
    chosen = [photo for photo, _ in read.photos if photo.name not in selection.left_out]
    readable = [replace(photo, video=videos.frames.get(photo.name, "")) for photo in chosen]
    all_photos: list[PhotoMetadata | Unreadable] = [
        *apply_geo_positions(readable, geo),
        *read.unreadable,
        *(Unreadable(name, reason, is_unsuitable=True) for name, reason in selection.unsuitable.items()),
        *(Unreadable(name, reason) for name, reason in damaged.items()),
        *videos.unreadable,
    ]
    copies_by_name = {photo.name: read.copies[photo.name] for photo in readable}
    pairs = find_masks(name for name, kind in kinds.items() if kind in (Kind.PHOTO, Kind.MASK))
    masks = {mask: pairs.get(mask) for mask in names[Kind.MASK]}
    masked, bad_masks = write_masks(extracted, masks, copies_by_name, copies / MASKS, progress.check)
    return IngestResult(
        photos=sorted(all_photos, key=lambda photo: photo.name),
        copies=copies_by_name,
        masked=masked,
        control_points=control_points,
        left_out=[*bad_masks, *(Unreadable(name, reason) for name, reason in selection.beside.items())],
        model_files=names[Kind.MODEL],
        findings=[
            *videos.findings,
            *selection.findings,
            *about_bad_masks(bad_masks, len(masks)),
            *about_unknown_names((photo.name for photo in readable), geo),
        ],
    )


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


def _read_geo_files(
    extracted: Path, names: list[str], photos: list[str]
) -> tuple[dict[str, GeoRow], list[ControlPoint]]:
    """Of each kind the file that is nearest to the top folder."""
    geo: dict[str, GeoRow] = {}
    control_points: list[ControlPoint] = []
    for name in sorted(names, key=lambda name: name.count("/"), reverse=True):
        try:
            if name.lower().endswith(CONTROL_POINTS):
                control_points = parse_control_points(read_text(extracted / name), photos)
            else:
                geo = parse_geo(read_text(extracted / name), photos)
        except ValueError as error:
            raise Refused(Slug.BAD_POSITIONS, name=name, detail=error) from None
    return geo, control_points

"""The whole intake: unpack, take frames out of videos, decode every photo, read what lies beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from services.sfm.messages import MASKS
from services.sfm.photo import PhotoFacts, Unreadable
from services.sfm.photos.decoder_pool import Reply, ask_all
from services.sfm.photos.geo_files import ControlPoint, parse_control_points, parse_geo, read_text, with_positions
from services.sfm.photos.unpack import unpack
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.uploads.kinds import CONTROL_POINTS, Kind, classify, photo_of_mask, photo_stem
from spaceport.pipeline.uploads.photo_zip import ExtractResult

MOST_FRAMES: Final = 400  # of all videos together
FEWEST_FRAMES: Final = 8  # of each
WHOLE: Final = 1 << 16  # pixels: no photo is longer


class Phases(Protocol):
    """Hears how far the intake is; both may raise to end it."""

    def count(self, phase: str, done: int, total: int) -> None: ...
    def check(self) -> None: ...


@dataclass(frozen=True)
class Copy:
    """The JPEG that COLMAP gets for a photo: its name in the folder of copies, and its size in pixels."""

    file: str
    width: int
    height: int


@dataclass(frozen=True)
class Intake:
    """What was taken in. `copies` are by photo name; `masked` names the photos that have a mask."""

    photos: list[PhotoFacts | Unreadable]
    copies: dict[str, Copy]
    masked: list[str] = field(default_factory=list)
    control_points: list[ControlPoint] = field(default_factory=list)
    left_out: list[Unreadable] = field(default_factory=list)
    """Files other than photos that are of no use, and why."""
    model_files: list[str] = field(default_factory=list)
    """Parts of COLMAP models, below `extracted/`."""

    @property
    def readable(self) -> list[PhotoFacts]:
        return [photo for photo in self.photos if isinstance(photo, PhotoFacts)]

    def facts(self) -> dict[str, Any]:
        """For the report: what was used beside photos, and what was not."""
        return {
            "videos": sorted({photo.video for photo in self.readable if photo.video}),
            "masks": len(self.masked),
            "control_points": len(self.control_points),
            "left_out": {file.name: file.reason for file in self.left_out},
        }


def take_in(source: Path, extracted: Path, copies: Path, longest: int, phases: Phases) -> Intake:
    """Fill `extracted/` with the files as they came and the frames of videos, and `copies/` with JPEGs for COLMAP.

    `copies/masks/` gets a mask for each photo that has one. Copies of other than JPEGs are at most `longest` pixels
    long, but whole where a model lies beside them, whose cameras speak of the originals.

    Raises:
        Refused: what `unpack` refuses; bad_positions, where a text file cannot be read; bad_given_model, where a part
            of a model cannot be unpacked.
        OSError: the disk is full.
    """
    unpacked = _unpack(source, extracted, phases)
    kinds = classify(file.name for file in unpacked)
    damaged = {file.name: file.reason or "" for file in unpacked if file.path is None}
    _check_model(kinds, damaged)
    names = {kind: [name for name, each in kinds.items() if each is kind and name not in damaged] for kind in Kind}
    geo, control_points = _read_texts(extracted, names[Kind.TEXT])
    frames, bad_videos = _frames(extracted, names[Kind.VIDEO], phases)
    at_most = WHOLE if names[Kind.MODEL] else longest
    photos, made = _photos(extracted, sorted({*names[Kind.PHOTO], *frames}), copies, at_most, phases)
    readable = [replace(photo, video=frames.get(photo.name, "")) for photo in photos if isinstance(photo, PhotoFacts)]
    unreadable = [photo for photo in photos if isinstance(photo, Unreadable)]
    every: list[PhotoFacts | Unreadable] = [*with_positions(readable, geo), *unreadable, *_lost(damaged), *bad_videos]
    masked, bad_masks = _masks(extracted, names[Kind.MASK], made, copies / MASKS, phases.check)
    every.sort(key=lambda photo: photo.name)
    return Intake(every, made, masked, control_points, bad_masks, names[Kind.MODEL])


def _unpack(source: Path, extracted: Path, phases: Phases) -> list[ExtractResult]:
    done = 0

    def on_file(_: ExtractResult, total: int) -> None:
        nonlocal done
        done += 1
        phases.count("unpacking", done, total)

    return unpack(source, extracted, on_file)


def _check_model(kinds: dict[str, Kind], damaged: dict[str, str]) -> None:
    for name, reason in damaged.items():
        if kinds.get(name) is Kind.MODEL:
            raise Refused(Slug.BAD_GIVEN_MODEL, detail=f"{name} cannot be unpacked, {reason}")


def _lost(damaged: dict[str, str]) -> list[Unreadable]:
    return [Unreadable(name, reason) for name, reason in damaged.items()]


def _read_texts(extracted: Path, names: list[str]) -> tuple[dict[str, Any], list[ControlPoint]]:
    """Of each kind the file that lies nearest to the top."""
    geo: dict[str, Any] = {}
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


def _frames(extracted: Path, videos: list[str], phases: Phases) -> tuple[dict[str, str], list[Unreadable]]:
    """The video of each frame, by the frame's name, which holds its time; and the videos that gave none."""
    most = max(FEWEST_FRAMES, MOST_FRAMES // max(1, len(videos)))
    folders = {video: f"{video}.frames" for video in videos}
    requests = [
        {"kind": "video", "path": str(extracted / video), "folder": str(extracted / folders[video]), "most": most}
        for video in videos
    ]

    def on_share(share: float) -> None:
        phases.count("frames", round(100 * share), 100)

    replies = ask_all(requests, lambda _: None, phases.check, on_share=on_share)
    frames: dict[str, str] = {}
    bad = []
    for video, reply in zip(videos, replies, strict=True):
        if not reply.get("frames"):
            bad.append(Unreadable(video, reply.get("reason", "it shows nothing")))
        frames |= {f"{folders[video]}/{file}": video for file, _ in reply.get("frames", ())}
    return frames, bad


def _photos(
    extracted: Path, names: list[str], copies: Path, longest: int, phases: Phases
) -> tuple[list[PhotoFacts | Unreadable], dict[str, Copy]]:
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
    replies = ask_all(requests, lambda done: phases.count("reading", done, len(names)), phases.check)
    photos = [_photo(name, reply) for name, reply in zip(names, replies, strict=True)]
    made = {
        photo.name: Copy(files[photo.name], *reply["size"])
        for photo, reply in zip(photos, replies, strict=True)
        if isinstance(photo, PhotoFacts)
    }
    return photos, made


def _photo(name: str, reply: Reply) -> PhotoFacts | Unreadable:
    if "facts" not in reply:
        return Unreadable(name, reply.get("reason", ""))
    facts = dict(reply["facts"])
    for field_name in ("position", "position_std_m"):
        facts[field_name] = tuple(facts[field_name]) if facts[field_name] else None
    facts["taken_at"] = datetime.fromisoformat(facts["taken_at"]) if facts["taken_at"] else None
    return PhotoFacts(**facts)


def _masks(
    extracted: Path, masks: list[str], copies: dict[str, Copy], folder: Path, check: Callable[[], None]
) -> tuple[list[str], list[Unreadable]]:
    """Photos that got a mask, by the name that COLMAP looks for, and the masks that are of no use."""
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
    replies = ask_all(requests, lambda _: None, check)
    bad = [Unreadable(mask, reply["reason"]) for (mask, _), reply in zip(pairs, replies, strict=True) if reply]
    lost = {mask.name for mask in bad}
    return [photo for mask, photo in pairs if mask not in lost], bad

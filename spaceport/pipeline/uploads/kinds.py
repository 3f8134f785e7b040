"""What each file of an upload is, by its name alone. Standard library only: the intake function imports this too."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from spaceport.pipeline.uploads.mask_names import find_masks

PHOTO_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".heic", ".heif", ".dng", ".insp"}
)
"""`.insp` is Insta360's JPEG, of two circles: left out, but by its name."""
VIDEO_SUFFIXES: Final = frozenset({".mp4", ".mov", ".m4v", ".insv"})
CONTROL_POINTS: Final = "gcp_list.txt"
GEO: Final = "geo.txt"
MODEL_PARTS: Final = ("cameras", "images", "points3D")
"""The files of a COLMAP model, each `.bin` or `.txt`. Rigs and frames, which newer ones also have, are not needed."""
_MODEL_FILES: Final = {f"{part}{suffix}".lower(): (part, suffix) for part in MODEL_PARTS for suffix in (".bin", ".txt")}
_MODEL_FOLDER: Final = "sparse"
_HIDDEN: Final = ("._", ".trashed-", ".pending-")  # resource forks; what Android deletes soon, or has half written
_RAW: Final = ".dng"  # cameras can save both; the same view twice adds nothing


class Kind(StrEnum):
    """What a file is used as."""

    PHOTO = "photo"
    VIDEO = "video"
    MASK = "mask"
    """Black is ignored. How they are named: `mask_names.py`."""
    TEXT = "text"
    """`gcp_list.txt` or `geo.txt`, as OpenDroneMap reads them."""
    MODEL = "model"
    """A part of a COLMAP model: the prior model, which replaces a reconstruction of its own."""


def classify(names: Iterable[str]) -> dict[str, Kind]:
    """The kind of each name, in order. Left out: files of no use, and raw photos that have a developed one."""
    useful = [name for name in names if not is_junk(name)]
    of_models = {path for parts in find_models(useful).values() for path in parts.values()}
    all_kinds = {name: Kind.MODEL if name in of_models else _kind(PurePosixPath(name)) for name in useful}
    kinds = {name: kind for name, kind in all_kinds.items() if kind}
    photos = {name: _stem(name) for name, kind in kinds.items() if kind is Kind.PHOTO}
    developed = {stem for name, stem in photos.items() if not name.lower().endswith(_RAW)}
    raws = {name for name, stem in photos.items() if name.lower().endswith(_RAW) and stem in developed}
    masks = find_masks(name for name in photos if name not in raws)
    return {name: Kind.MASK if name in masks else kind for name, kind in kinds.items() if name not in raws}


def find_models(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """COLMAP models by their folder ("." is the top): the path of each of `MODEL_PARTS`, binary ones before text.

    Complete ones are found in any folder. One that lacks a part is reported only in COLMAP's own folders (`sparse`,
    `sparse/0`), where there is no doubt what it should be.
    """
    by_folder: dict[str, dict[str, dict[str, str]]] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.name.lower() in _MODEL_FILES:
            part, suffix = _MODEL_FILES[path.name.lower()]
            by_folder.setdefault(str(path.parent), {}).setdefault(suffix, {})[part] = name
    best = {
        folder: max(kinds.values(), key=lambda parts: (len(parts), parts.get("cameras", "").lower().endswith(".bin")))
        for folder, kinds in by_folder.items()
    }
    return {
        folder: parts for folder, parts in best.items() if is_complete(parts) or _is_model_folder(PurePosixPath(folder))
    }


def is_complete(parts: dict[str, str]) -> bool:
    """Whether a model has all the parts that are needed."""
    return len(parts) == len(MODEL_PARTS)


def _is_model_folder(folder: PurePosixPath) -> bool:
    parent = folder.parent if folder.name.isdecimal() else folder
    return parent.name.lower() == _MODEL_FOLDER


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")).lower()


def _kind(path: PurePosixPath) -> Kind | None:
    suffix = path.suffix.lower()
    if suffix in PHOTO_SUFFIXES:
        return Kind.PHOTO
    if suffix in VIDEO_SUFFIXES:
        return Kind.VIDEO
    return Kind.TEXT if path.name.lower() in (CONTROL_POINTS, GEO) else None


def is_junk(name: str) -> bool:
    """What operating systems add by themselves: resource forks, dot files and hidden folders, such as those of
    thumbnails. A photo may have a dot before its name, but none of these programs' own."""
    *folders, file = name.split("/")
    if any(part == "__MACOSX" or part.startswith(".") for part in folders) or file.startswith(_HIDDEN):
        return True
    return file.startswith(".") and PurePosixPath(file).suffix.lower() not in PHOTO_SUFFIXES

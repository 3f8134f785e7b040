"""What each file of an upload is, by its name alone. Standard library only: the intake function imports this too."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

PHOTO_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".heic", ".heif", ".dng"})
VIDEO_SUFFIXES: Final = frozenset({".mp4", ".mov", ".m4v"})
CONTROL_POINTS: Final = "gcp_list.txt"
GEO: Final = "geo.txt"
MODEL_PARTS: Final = ("cameras", "images", "points3D")
"""The files of a COLMAP model, each `.bin` or `.txt`. Rigs and frames, which new ones have too, are not needed."""
_MODEL_FILES: Final = {f"{part}{suffix}".lower(): (part, suffix) for part in MODEL_PARTS for suffix in (".bin", ".txt")}
_MODEL_FOLDER: Final = "sparse"
_MASK: Final = "_mask"
_RAW: Final = ".dng"  # cameras can be told to save both; twice the same view adds nothing


class Kind(StrEnum):
    """What a file is taken for."""

    PHOTO = "photo"
    VIDEO = "video"
    MASK = "mask"
    """`NAME_mask.png` beside `NAME.jpg` (OpenDroneMap's convention): black is left out."""
    TEXT = "text"
    """`gcp_list.txt` or `geo.txt`, as OpenDroneMap reads them."""
    MODEL = "model"
    """A part of a COLMAP model, whose photos are then not reconstructed anew."""


def sort_out(names: Iterable[str]) -> dict[str, Kind]:
    """The kind of each name, in the order given; names of no use are missing, and raw photos beside developed ones."""
    useful = [name for name in names if not is_junk(name)]
    of_models = {path for parts in models_in(useful).values() for path in parts.values()}
    kinds = {name: kind for name in useful if (kind := Kind.MODEL if name in of_models else _kind(PurePosixPath(name)))}
    photos = {name: photo_stem(name) for name, kind in kinds.items() if kind is Kind.PHOTO}
    masks = {name for name in photos if masked_photo(name) in photos.values()}
    developed = {stem for name, stem in photos.items() if not name.lower().endswith(_RAW)}
    raws = {name for name, stem in photos.items() if name.lower().endswith(_RAW) and stem in developed}
    return {name: Kind.MASK if name in masks else kind for name, kind in kinds.items() if name not in raws}


def models_in(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """COLMAP models by their folder ("." is the top): the path of each of `MODEL_PARTS`, binary ones before text.

    Whole ones are found wherever they lie. One that lacks a part is told only where COLMAP's folders (`sparse`,
    `sparse/0`) leave no doubt of what it should be.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name in names:
        path = PurePosixPath(name)
        if known := _MODEL_FILES.get(path.name.lower()):
            part, suffix = known
            found.setdefault(str(path.parent), {}).setdefault(suffix, {})[part] = name
    best = {
        folder: max(kinds.values(), key=lambda parts: (len(parts), parts.get("cameras", "").lower().endswith(".bin")))
        for folder, kinds in found.items()
    }
    return {folder: parts for folder, parts in best.items() if is_whole(parts) or _is_models(PurePosixPath(folder))}


def is_whole(parts: dict[str, str]) -> bool:
    """Whether a model has all that is needed."""
    return len(parts) == len(MODEL_PARTS)


def _is_models(folder: PurePosixPath) -> bool:
    home = folder.parent if folder.name.isdecimal() else folder
    return home.name.lower() == _MODEL_FOLDER


def masked_photo(mask: str) -> str | None:
    """The path, without suffix and in small letters, of the photo that a file of this name would mask."""
    stem = photo_stem(mask)
    return stem.removesuffix(_MASK) if stem.endswith(_MASK) else None


def photo_stem(name: str) -> str:
    """The path of a photo without its suffix and in small letters, as `masked_photo` returns it."""
    return str(PurePosixPath(name).with_suffix("")).lower()


def _kind(path: PurePosixPath) -> Kind | None:
    suffix = path.suffix.lower()
    if suffix in PHOTO_SUFFIXES:
        return Kind.PHOTO
    if suffix in VIDEO_SUFFIXES:
        return Kind.VIDEO
    return Kind.TEXT if path.name.lower() in (CONTROL_POINTS, GEO) else None


def is_junk(name: str) -> bool:
    """What operating systems add unasked: resource forks and dot files."""
    return any(part == "__MACOSX" or part.startswith(".") for part in name.split("/"))

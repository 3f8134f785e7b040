"""Which files of an upload are masks, and of which photos, by their names alone. Standard library only.

OpenDroneMap's way is a suffix (`NAME_mask.png` beside `NAME.jpg`). COLMAP (`masks/NAME.jpg.png`), nerfstudio and
Metashape (`masks/NAME.png`, `masks/NAME_mask.png`) have a folder, with the photos' folders below it or beside it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final

_SUFFIXES: Final = ("_mask", "-mask", ".mask")
_FOLDER: Final = re.compile(r"(?:.*[ _-])?masks?(?:[ _-].*)?")
MAX_NAMESAKES: Final = 50  # photos of one name that are compared
MIN_PAIRED: Final = 0.5  # of the files in a folder; below, it is a folder of photos that is only called so


def find_masks(photos: Iterable[str]) -> dict[str, str | None]:
    """Of these names of pictures those that are masks: to the photo that they mask, None where there is none."""
    names = list(photos)
    in_folders = {name: place for name in names if (place := _mask_folder(name)) is not None}
    others = [name for name in names if name not in in_folders]
    stems = {_stem(name): name for name in others}
    masks: dict[str, str | None] = {
        name: stems[stem] for name in others if (stem := _without_suffix(_stem(name))) in stems and stem
    }
    index = _index(name for name in others if name not in masks)
    paired = {name: _photo_of(name, place, index) for name, place in in_folders.items()}
    folders = Counter("/".join(_parts(name)[: place + 1]) for name, place in in_folders.items())
    good = Counter("/".join(_parts(name)[: in_folders[name] + 1]) for name, photo in paired.items() if photo)
    are_masks = {folder for folder, count in folders.items() if good[folder] >= MIN_PAIRED * count}
    masks |= {
        name: photo for name, photo in paired.items() if "/".join(_parts(name)[: in_folders[name] + 1]) in are_masks
    }
    return masks


def _mask_folder(name: str) -> int | None:
    """The number of the first folder in the path that is called masks."""
    return next((at for at, part in enumerate(_parts(name)[:-1]) if _FOLDER.fullmatch(part)), None)


def _photo_of(mask: str, place: int, index: dict[str, list[str]]) -> str | None:
    """The photo of a mask in a folder of masks: of several with its name the one whose folder fits best."""
    base = PurePosixPath(_parts(mask)[-1]).stem
    keys = [base, shorter] if (shorter := _without_suffix(base)) else [base]
    found = next((index[key] for key in keys if key in index), [])
    above, below = _parts(mask)[:place], _parts(mask)[place + 1 : -1]
    if len(found) == 1:
        return found[0]
    fits = {photo: _fit(_parts(photo)[:-1], above, below) for photo in found[:MAX_NAMESAKES]}
    best = max(fits.values(), default=None)
    chosen = [photo for photo, fit in fits.items() if fit == best]
    return chosen[0] if len(chosen) == 1 else None


def _fit(folder: list[str], above: list[str], below: list[str]) -> tuple[bool, bool, int]:
    """How well a photo's folder fits that of a mask, which has these folders above and below the one of masks."""
    common = next((at for at, (one, other) in enumerate(zip(folder, above, strict=False)) if one != other), None)
    shared = min(len(folder), len(above)) if common is None else common
    return folder == [*above, *below], folder[len(folder) - len(below) :] == below, shared


def _index(photos: Iterable[str]) -> dict[str, list[str]]:
    """Photos by file name, with and without suffix."""
    index: dict[str, list[str]] = defaultdict(list)
    for photo in photos:
        name = _parts(photo)[-1]
        for key in {name, PurePosixPath(name).stem}:
            index[key].append(photo)
    return index


def _parts(name: str) -> list[str]:
    return name.lower().split("/")


def _stem(name: str) -> str:
    return str(PurePosixPath(name.lower()).with_suffix(""))


def _without_suffix(stem: str) -> str:
    """Without `_mask` at its end; empty where it has none."""
    return next((stem.removesuffix(suffix) for suffix in _SUFFIXES if stem.endswith(suffix)), "")

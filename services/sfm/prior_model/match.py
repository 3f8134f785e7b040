"""Takes in a COLMAP model that came with the photos: which one it is, and which photo each of its images is."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from services.sfm.messages import GivenTask, TaskPhoto
from services.sfm.photo import PhotoFacts, Unreadable
from services.sfm.photos.ingest import Intake
from services.sfm.prior_model.validate import MAX_SHOWN, GivenImage, GivenModel, read_given
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.uploads.kinds import find_models, is_complete
from spaceport.pipeline.uploads.photo_zip import MIN_PHOTOS

NOT_IN_MODEL: Final = "the reconstruction that came with the photos does not hold it"
MOST_MODELS: Final = 10  # COLMAP leaves several, sparse/0 first, where photos do not hang together
MOST_NAMED: Final = 50
_PHOTOS: Final = "images"  # where COLMAP's users keep the photos, beside `sparse`


@dataclass(frozen=True)
class Given:
    """The model that is used: its folder in the upload, its files, the number in it of each photo, by photo name.

    `lost` names its photos that are not in the upload, or cannot be read there; `beside` counts the upload's readable
    photos that it does not hold.
    """

    folder: str
    parts: dict[str, Path]
    numbers: dict[str, int]
    lost: list[str]
    beside: int

    def narrow(self, intake: Intake) -> Intake:
        """The intake with only those photos readable that the model holds."""
        photos: list[PhotoFacts | Unreadable] = [
            photo
            if isinstance(photo, Unreadable) or photo.name in self.numbers
            else Unreadable(photo.name, NOT_IN_MODEL)
            for photo in intake.photos
        ]
        return replace(intake, photos=photos)

    def task(self, staged: dict[str, TaskPhoto], folder: Path) -> GivenTask:
        """For the child, with links to the model's files, and nothing beside them, in `folder`, which is made."""
        folder.mkdir()
        for part, path in self.parts.items():
            (folder / f"{part}{path.suffix.lower()}").symlink_to(path.resolve())
        return GivenTask(folder, {staged[name].file: number for name, number in self.numbers.items()})

    def facts(self) -> dict[str, Any]:
        """For the report."""
        images = len(self.numbers) + len(self.lost)
        sentences = [f"The zip held a COLMAP reconstruction of {images} photos; it was kept as it is."]
        if self.lost:
            sentences.append(f"Taken out of it, because the zip does not hold them: {_photos(len(self.lost))}.")
        if self.beside:
            sentences.append(f"Not in it, and so not used: {_photos(self.beside)} of the zip.")
        return {
            "folder": self.folder,
            "images": images,
            "without_photo": self.lost[:MOST_NAMED],
            "photos_beside": self.beside,
            "sentence": " ".join(sentences),
        }


def take_given(
    extracted: Path, names: Sequence[str], photos: Sequence[PhotoFacts], check: Callable[[], None]
) -> Given | None:
    """The model among the files `names` below `extracted` that holds most of `photos`; None where there is no model.

    `check` is called every few thousand records; what it raises passes.

    Raises:
        Refused: bad_given_model, where no model can be used.
    """
    whole = {folder: parts for folder, parts in find_models(names).items() if is_complete(parts)}
    found: list[Given] = []
    first_fault: Exception | None = None
    for folder in sorted(whole, key=lambda folder: (_depth(folder), folder))[:MOST_MODELS]:
        parts = {part: extracted / name for part, name in whole[folder].items()}
        try:
            found.append(_given(folder, parts, read_given(parts, check), photos))
        except ValueError as fault:
            first_fault = first_fault or fault
    if not found and first_fault:
        raise Refused(Slug.BAD_GIVEN_MODEL, detail=first_fault)
    return max(found, key=lambda given: len(given.numbers), default=None)  # of equal ones the first


def _depth(folder: str) -> int:
    """How deep a model lies, whatever its number: `sparse/0` comes before `dense/sparse`."""
    path = PurePosixPath(folder)
    return len((path.parent if path.name.isdecimal() else path).parts)


def _given(folder: str, parts: dict[str, Path], model: GivenModel, photos: Sequence[PhotoFacts]) -> Given:
    by_name = {photo.name: photo for photo in photos}
    matched = match_photos([image.name for image in model.images], list(by_name), folder)
    numbers = {}
    for image in model.images:
        if image.name in matched:
            _check_size(image, by_name[matched[image.name]])
            numbers[matched[image.name]] = image.number
    if len(numbers) < MIN_PHOTOS:
        raise ValueError(
            f"of its {_photos(len(model.images))} the zip holds {len(numbers)}, and at least {MIN_PHOTOS} are needed;"
            f" the first is called {model.images[0].name[:MAX_SHOWN]}"
        )
    lost = sorted(image.name for image in model.images if image.name not in matched)
    return Given(folder, parts, numbers, lost, len(photos) - len(numbers))


def _check_size(image: GivenImage, photo: PhotoFacts) -> None:
    if image.size != (photo.width, photo.height):
        raise ValueError(
            f"photo {photo.name} is {photo.width} x {photo.height} pixels large, and its camera in the model"
            f" {image.size[0]} x {image.size[1]}"
        )


def match_photos(images: Sequence[str], photos: Sequence[str], folder: str) -> dict[str, str]:
    """Photos by the names that a model in `folder` has for them; images without a photo are missing.

    A name is a path below a folder that holds the model, or below `images` in one, the nearest first; else the end of
    one photo's path; else the file name of one photo that no other image wants. Case does not count.

    Raises:
        ValueError: two images are one photo.
    """
    by_path = {_key(photo): photo for photo in photos}
    by_end: dict[str, str | None] = {}
    for photo in photos:
        parts = PurePosixPath(_key(photo)).parts
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            by_end[end] = photo if end not in by_end else None
    homes = [PurePosixPath(_key(folder)), *PurePosixPath(_key(folder)).parents]
    found: dict[str, str] = {}
    for image in images:
        places = (str(home / below / _key(image)) for home in homes for below in (_PHOTOS, ""))
        photo_found = next((by_path[place] for place in places if place in by_path), by_end.get(_key(image)))
        if photo_found:
            found[image] = photo_found
    _check_single(found)
    taken = set(found.values())
    left = {image: by_end.get(PurePosixPath(_key(image)).name) for image in images if image not in found}
    wanted = Counter(left.values())
    return found | {
        image: photo for image, photo in left.items() if photo and photo not in taken and wanted[photo] == 1
    }


def _check_single(found: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for image, photo in found.items():
        if photo in seen:
            raise ValueError(f"{seen[photo][:MAX_SHOWN]} and {image[:MAX_SHOWN]} of it are the same photo, {photo}")
        seen[photo] = image


def _key(name: str) -> str:
    """For comparing: composed as Unicode has it, in small letters. Macs decompose names."""
    return unicodedata.normalize("NFC", name).casefold()


def _photos(number: int) -> str:
    return "1 photo" if number == 1 else f"{number} photos"

"""Selects the COLMAP model that came with the photos (the prior model), and matches its images with the photos."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from services.sfm.messages import PriorModelTask, TaskPhoto
from services.sfm.photo import PhotoMetadata, Unreadable
from services.sfm.photos.ingest import IngestResult
from services.sfm.prior_model.validate import MAX_SHOWN, PriorImage, PriorModelContents, read_prior_model
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.reports.sfm import PriorModelReport
from spaceport.pipeline.uploads.kinds import find_models, is_complete
from spaceport.pipeline.uploads.photo_zip import MIN_PHOTOS

NOT_IN_MODEL: Final = "the reconstruction that came with the photos does not hold it"
MAX_MODELS: Final = 10  # COLMAP writes several, sparse/0 first, where photos fall into parts
MAX_NAMED: Final = 50
_PHOTOS: Final = "images"  # where COLMAP's users keep the photos, beside `sparse`


@dataclass(frozen=True)
class PriorModel:
    """The model that is used: its folder in the upload, its files, and image ids by photo name.

    `missing` names its images whose photos are not in the upload, or cannot be read there; `unmatched` counts the
    upload's readable photos that it does not hold.
    """

    folder: str
    parts: dict[str, Path]
    image_ids: dict[str, int]
    missing: list[str]
    unmatched: int

    def restrict(self, ingested: IngestResult) -> IngestResult:
        """The same with only those photos readable that the model holds."""
        photos: list[PhotoMetadata | Unreadable] = [
            photo
            if isinstance(photo, Unreadable) or photo.name in self.image_ids
            else Unreadable(photo.name, NOT_IN_MODEL)
            for photo in ingested.photos
        ]
        return replace(ingested, photos=photos)

    def task(self, staged: dict[str, TaskPhoto], folder: Path) -> PriorModelTask:
        """For the worker, with links to the model's files, and nothing else, in `folder`, which is created."""
        folder.mkdir()
        for part, path in self.parts.items():
            (folder / f"{part}{path.suffix.lower()}").symlink_to(path.resolve())
        return PriorModelTask(folder, {staged[name].file: image_id for name, image_id in self.image_ids.items()})

    def report(self) -> PriorModelReport:
        images = len(self.image_ids) + len(self.missing)
        sentences = [f"The zip held a COLMAP reconstruction of {images} photos; it was kept as it is."]
        if self.missing:
            sentences.append(f"Taken out of it, because the zip does not hold them: {_photos(len(self.missing))}.")
        if self.unmatched:
            sentences.append(f"Not in it, and so not used: {_photos(self.unmatched)} of the zip.")
        return PriorModelReport(
            folder=self.folder,
            images=images,
            without_photo=self.missing[:MAX_NAMED],
            photos_beside=self.unmatched,
            sentence=" ".join(sentences),
        )


def select_prior_model(
    extracted: Path, names: Sequence[str], photos: Sequence[PhotoMetadata], check: Callable[[], None]
) -> PriorModel | None:
    """The model among the files `names` below `extracted` that holds most of `photos`; None where there is no model.

    `check` is called every few thousand records; its exceptions propagate.

    Raises:
        Refused: bad_prior_model, where no model can be used.
    """
    whole = {folder: parts for folder, parts in find_models(names).items() if is_complete(parts)}
    models: list[PriorModel] = []
    first_fault: Exception | None = None
    for folder in sorted(whole, key=lambda folder: (_depth(folder), folder))[:MAX_MODELS]:
        parts = {part: extracted / name for part, name in whole[folder].items()}
        try:
            models.append(_match(folder, parts, read_prior_model(parts, check), photos))
        except ValueError as fault:
            first_fault = first_fault or fault
    if not models and first_fault:
        raise Refused(Slug.BAD_PRIOR_MODEL, detail=first_fault)
    return max(models, key=lambda model: len(model.image_ids), default=None)  # of equal ones the first


def _depth(folder: str) -> int:
    """The depth of a model's folder, without its number: `sparse/0` comes before `dense/sparse`."""
    path = PurePosixPath(folder)
    return len((path.parent if path.name.isdecimal() else path).parts)


def _match(
    folder: str, parts: dict[str, Path], model: PriorModelContents, photos: Sequence[PhotoMetadata]
) -> PriorModel:
    by_name = {photo.name: photo for photo in photos}
    matched = match_photos([image.name for image in model.images], list(by_name), folder)
    image_ids = {}
    for image in model.images:
        if image.name in matched:
            _check_size(image, by_name[matched[image.name]])
            image_ids[matched[image.name]] = image.image_id
    if len(image_ids) < MIN_PHOTOS:
        raise ValueError(
            f"of its {_photos(len(model.images))} the zip holds {len(image_ids)}, and at least {MIN_PHOTOS} are needed;"
            f" the first is called {model.images[0].name[:MAX_SHOWN]}"
        )
    missing = sorted(image.name for image in model.images if image.name not in matched)
    return PriorModel(folder, parts, image_ids, missing, len(photos) - len(image_ids))


def _check_size(image: PriorImage, photo: PhotoMetadata) -> None:
    if image.size != (photo.width, photo.height):
        raise ValueError(
            f"photo {photo.name} is {photo.width} x {photo.height} pixels large, and its camera in the model"
            f" {image.size[0]} x {image.size[1]}"
        )


def match_photos(images: Sequence[str], photos: Sequence[str], folder: str) -> dict[str, str]:
    """Photos by the names that a model in `folder` has for them; images without a photo are missing.

    A name is a path below a folder that holds the model, or below `images` in one, the nearest first; else the end of
    one photo's path; else the file name of one photo that no other image claims. Case counts only between names that
    differ in nothing else.

    Raises:
        ValueError: two images are one photo.
    """
    indices = [_PhotoIndex(photos, form) for form in (str, _key)]
    matched: dict[str, str] = {}
    for image in images:
        names = [*(index.by_path(image, folder) for index in indices), *(index.by_end(image) for index in indices)]
        if name := next(filter(None, names), None):
            matched[image] = name
    _check_single(matched)
    by_end = indices[-1].ends
    taken = set(matched.values())
    left = {image: by_end.get(PurePosixPath(_key(image)).name) for image in images if image not in matched}
    claims = Counter(left.values())
    return matched | {
        image: photo for image, photo in left.items() if photo and photo not in taken and claims[photo] == 1
    }


class _PhotoIndex:
    """Photos by their paths and the ends of these, in the form that is compared; None where several have it."""

    def __init__(self, photos: Sequence[str], form: Callable[[str], str]) -> None:
        self._form = form
        self._paths: dict[str, str | None] = {}
        self.ends: dict[str, str | None] = {}
        for photo in photos:
            path = form(photo)
            self._paths[path] = photo if path not in self._paths else None
            parts = PurePosixPath(path).parts
            for start in range(len(parts)):
                end = "/".join(parts[start:])
                self.ends[end] = photo if end not in self.ends else None

    def by_path(self, image: str, folder: str) -> str | None:
        """The photo at this path below the folder or one above it, or below `images` there, the nearest first."""
        home = PurePosixPath(self._form(folder))
        places = (str(each / below / self._form(image)) for each in (home, *home.parents) for below in (_PHOTOS, ""))
        return next((self._paths[place] for place in places if place in self._paths), None)

    def by_end(self, image: str) -> str | None:
        return self.ends.get(self._form(image))


def _check_single(matched: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for image, photo in matched.items():
        if photo in seen:
            raise ValueError(f"{seen[photo][:MAX_SHOWN]} and {image[:MAX_SHOWN]} of it are the same photo, {photo}")
        seen[photo] = image


def _key(name: str) -> str:
    """For comparing: in Unicode's composed form (Macs decompose names), in lower case."""
    return unicodedata.normalize("NFC", name).casefold()


def _photos(number: int) -> str:
    return "1 photo" if number == 1 else f"{number} photos"

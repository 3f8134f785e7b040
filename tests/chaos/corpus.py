"""The surveys and the hostile corpus of one storm, in the order in which they are dropped; all made from a seed."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from cloud_cases import MAIL, TINY
from hostile_images import hostile_colmap_model, hostile_images, hostile_model
from hostile_zips import NAMES, damaged, hostile_name, hostile_options, hostile_zip, named_zip, with_options
from inputs import Call, Expected, Garbage, Input, Kind, Upload, expected_of, undisturbed_refusal

from spaceport.pipeline.contract import JobState, Request, RequestManifest, now
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.layout import MANIFEST_FOLDERS, manifest_key

Random = random.Random

COUNTS = {
    "plain": 3,
    "named": 2,
    "images": 4,
    "zip": 310,
    "option": 90,
    "call": 80,
    "name": 196,
    "models": 8,
    "garbage": 90,
}
"""Of uploads, calls and objects: 1,000 hostile inputs with the photos' names, the images and the model files."""
IMAGES_EACH = 38
MODEL_FILES = 50
"""Read by the readers of `spaceport convert`, in a process beside the cloud."""
MOST_STARTED = 8
"""So many hostile zips may pass the inspection and take a machine's time."""
WAKING = {"request", "colmap", "gaussian"}
MOST_WAKING = 8
"""So many pieces of garbage lie where a stage is woken by them."""


def corpus(survey: Path, seed: int, share: float) -> list[Input]:
    """Every input of a storm. The good surveys are spread evenly among the rest.

    Args:
        survey: the zip of a good one.
        share: of `COUNTS`.
    """
    counts = {name: max(1, round(count * share)) for name, count in COUNTS.items()}
    choose = Random(seed)
    maker = _Maker(survey, choose)
    surveys = [make(number) for name, make in maker.surveys.items() for number in range(counts[name])]
    hostile = [make(number) for name, make in maker.hostile.items() for number in range(counts[name])]
    choose.shuffle(surveys)
    choose.shuffle(hostile)
    every = max(1, len(hostile) // len(surveys))
    for place, good in enumerate(surveys):
        hostile.insert(place * (every + 1), good)
    return hostile


class _Maker:
    """Makes inputs of every kind."""

    def __init__(self, survey: Path, choose: Random) -> None:
        with zipfile.ZipFile(survey) as archive:
            self._photos = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
        self._random = choose
        self._started = 0
        self._waking = 0
        self.surveys: dict[str, Callable[[int], Input]] = {
            "plain": self._plain,
            "named": self._named,
            "images": self._with_images,
        }
        self.hostile: dict[str, Callable[[int], Input]] = {
            "zip": lambda number: self._upload("zip", number, hostile_zip, Kind.ZIP),
            "option": lambda number: self._upload("option", number, _zip_of_options, Kind.OPTION),
            "name": lambda number: self._upload("name", number, named_zip, Kind.NAME),
            "models": self._with_model,
            "call": lambda _: Call(self._refused_body()),
            "garbage": self._garbage,
        }

    def _plain(self, number: int) -> Upload:
        return self._survey(f"plain-{number}", self._photos, Counter({Kind.SURVEY: 1}))

    def _named(self, number: int) -> Upload:
        """The photos under names that are odd and allowed; `%04d` says which is which."""
        allowed = [
            name
            for name in NAMES
            if undisturbed_refusal(_zipped(dict.fromkeys([name], b"1")), {}) is Slug.TOO_FEW_IMAGES
        ]
        chosen = self._random.sample(allowed, len(self._photos))
        photos = {
            name.replace("{}", f" {place:04d}"): data
            for place, (name, data) in enumerate(zip(chosen, self._photos.values(), strict=True), start=1)
        }
        return self._survey(f"named-{number}", photos, Counter({Kind.SURVEY: 1, Kind.NAME: len(photos)}))

    def _with_images(self, number: int) -> Upload:
        images = dict(hostile_images(self._random, IMAGES_EACH))
        return self._survey(
            f"images-{number}", self._photos | images, Counter({Kind.SURVEY: 1, Kind.IMAGE: IMAGES_EACH})
        )

    def _survey(self, job_id: str, files: dict[str, bytes], holds: Counter[Kind]) -> Upload:
        metadata = {"job-id": job_id, "job-name": quote(job_id), "email": MAIL, "options": json.dumps(TINY)}
        expected = Expected(frozenset({JobState.COMPLETED}), photos=len(self._photos))
        return Upload(f"uploads/{job_id}.zip", _zipped(files), metadata, expected, holds)

    def _with_model(self, number: int) -> Upload:
        """A survey beside a COLMAP model that is of no use: of other photos, and damaged."""
        model = {f"sparse/0/{name}": data for name, data in hostile_colmap_model(self._random).items()}
        metadata = {"job-id": f"model-{number}", "email": MAIL, "options": json.dumps(TINY)}
        expected = Expected(frozenset({JobState.FAILED, JobState.REJECTED}), Slug.BAD_PRIOR_MODEL)
        body = _zipped(self._photos | model)
        return Upload(f"uploads/model-{number}.zip", body, metadata, expected, Counter({Kind.MODEL: 1}))

    def _upload(self, prefix: str, number: int, make: Callable[[Random], bytes], kind: Kind) -> Upload:
        """An upload that is refused, but for the few that may begin a job. A third of them choose no job id."""
        metadata = {"email": MAIL, "job-name": quote(hostile_name(self._random), errors="replace")[:900]}
        if self._random.random() < 0.67:
            metadata["job-id"] = f"{prefix}-{number}"
        while True:
            body = make(self._random)
            expected = expected_of(body, metadata)
            if expected.slug is not None:
                break
            if self._started < MOST_STARTED:
                self._started += 1
                break
        return Upload(f"uploads/{self._key(prefix, number)}.zip", body, metadata, expected, Counter({kind: 1}))

    def _key(self, prefix: str, number: int) -> str:
        odd = self._random.choice(("", "", "", " a b", "+%2B", "ü写", "😀", "'\"", "(1)", "\u202e", "&x=1"))
        return f"{prefix}-{number}{odd}"

    def _refused_body(self) -> bytes:
        """The body of a call that names no upload, whatever else it says."""
        return hostile_options(self._random)

    def _garbage(self, number: int) -> Garbage:
        folder = self._random.choice(MANIFEST_FOLDERS)
        if folder in WAKING:
            self._waking += 1
            if self._waking > MOST_WAKING:
                folder = self._random.choice(("compressed", "end"))
        return Garbage(manifest_key(f"garbage-{number}", folder), _no_manifest(self._random))


def _no_manifest(choose: Random) -> bytes:
    """Bytes that nobody can take for a manifest of the job under whose key they lie."""
    request = Request(name="somebody else's", email=MAIL, received_at=now())
    whole = RequestManifest(job_id="another-job", created_at=now(), request=request).model_dump_json().encode()
    newer = whole.replace(b'"schema_version":1', b'"schema_version":%d' % choose.randint(2, 10**6))
    cut = whole[: choose.randrange(1, len(whole) - 1)]
    return choose.choice(
        (
            b"",
            b" \n",
            cut,
            newer,
            whole,
            damaged(choose, whole),
            choose.randbytes(200),
            b"[" * 50_000,
            b"{}",
            b"\0" * 99,
        )
    )


def _zip_of_options(choose: Random) -> bytes:
    return with_options(hostile_options(choose))


def _zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            archive.writestr(info, data)
    return out.getvalue()


def model_files(seed: int, share: float) -> Iterator[tuple[str, bytes]]:
    """Readers of `tests/fuzz`, and damaged model files for them."""
    choose = Random(seed)
    for _ in range(max(1, round(MODEL_FILES * share))):
        yield hostile_model(choose)

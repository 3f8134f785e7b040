"""Uploads that pilots and attackers send: refused within seconds with a slug and a mail, or taken as they are."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_cases import MAIL, Cloud
from cloud_fixtures import running_cloud

from functions.notify.mail import unlinked
from spaceport.demo import Survey
from spaceport.pipeline.contract import JobState
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.state import END_STATES
from spaceport.pipeline.layout import job_prefix

PHOTO = b"\xff\xd8\xff\xe0 not looked at"


def zipped(*names: str | zipfile.ZipInfo, data: bytes = PHOTO, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # duplicate names are what one of the cases is about
        for name in names:
            archive.writestr(name, data)
    return file.getvalue()


def photos(count: int = 3) -> tuple[str, ...]:
    return tuple(f"{number}.jpg" for number in range(count))


def encrypted() -> bytes:
    """The flag of encryption set in every header."""
    raw = bytearray(zipped(*photos()))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := raw.find(magic, place + 1)) >= 0:
            raw[place + at] |= 1
    return bytes(raw)


def claiming(size: int) -> bytes:
    """A directory that claims so many bytes for each photo."""
    raw = bytearray(zipped(*photos(8), method=zipfile.ZIP_DEFLATED))
    place = -1
    while (place := raw.find(b"PK\x01\x02", place + 1)) >= 0:
        struct.pack_into("<I", raw, place + 24, size)
    return bytes(raw)


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link.jpg")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def with_options(text: bytes) -> bytes:
    file = io.BytesIO(zipped(*photos()))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("spaceport.json", text)
    return file.getvalue()


HOSTILE: dict[str, tuple[bytes, Slug]] = {
    "no-zip": (b"GIF89a, not a zip at all", Slug.NOT_A_ZIP),
    "empty-file": (b"", Slug.NOT_A_ZIP),
    "empty-zip": (zipped(), Slug.EMPTY_ZIP),
    "no-images": (zipped("readme.txt", "a.pdf"), Slug.NO_IMAGES),
    "two-photos": (zipped(*photos(2)), Slug.TOO_FEW_IMAGES),
    "encrypted": (encrypted(), Slug.ENCRYPTED_ZIP),
    "dot-dot": (zipped(*photos(), "../evil.jpg"), Slug.UNSAFE_PATH),
    "absolute": (zipped(*photos(), "/etc/evil.jpg"), Slug.UNSAFE_PATH),
    "backslash": (zipped(*photos(), "..\\evil.jpg"), Slug.UNSAFE_PATH),
    "drive-letter": (zipped(*photos(), "C:\\evil.jpg"), Slug.UNSAFE_PATH),
    "symlink": (zipped(*photos(), link(), data=b"/etc/passwd"), Slug.SYMLINK_ENTRY),
    "ratio-bomb": (zipped(*photos(), data=bytes(40 << 20), method=zipfile.ZIP_DEFLATED), Slug.RATIO_BOMB),
    "many-entries": (zipped(*photos(10_001)), Slug.TOO_MANY_ENTRIES),
    "claims-20-gb": (claiming(5 << 29), Slug.ARCHIVE_TOO_LARGE),
    "same-name-twice": (zipped(*photos(), "0.jpg"), Slug.DUPLICATE_NAMES),
    "same-name-as-markup": (zipped(*photos(), "[/x].jpg", "[/x].jpg"), Slug.DUPLICATE_NAMES),
    "options-in-a-list": (with_options(b'{"options": [1]}'), Slug.BAD_OPTIONS),
    "options-as-text": (with_options(b'{"options": "draft"}'), Slug.BAD_OPTIONS),
    "lone-surrogate": (with_options(b'{"name": "\\ud800", "options": {}}'), Slug.BAD_OPTIONS),
    "escapes-in-options": (with_options(b'{"options": {"\\u001b[2J": 1}}'), Slug.BAD_OPTIONS),
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running_cloud(tmp_path_factory.mktemp("cloud") / "state") as cloud:
        yield cloud


def test_each_bad_upload_ends_with_its_own_slug_sentence_and_mail(cloud: Cloud) -> None:
    before = set(cloud.embedded.state.parent.iterdir())
    for count, (name, (data, slug)) in enumerate(HOSTILE.items(), start=len(cloud.mails(0)) + 1):
        row = cloud.ended(cloud.upload(data, name))
        assert row.failure is not None, name
        assert (row.state, row.failure.slug) == (JobState.REJECTED, slug), name
        assert row.message == row.failure.sentence
        objects = [item.key for item in cloud.deployment.bucket.list_objects(job_prefix(name))]
        assert objects == [f"jobs/{name}/birth.json", f"jobs/{name}/end/manifest.json"], "its birth and its end alone"
        mail = cloud.mails(count)[-1]
        assert mail["Subject"] == "An upload could not be used"
        assert f"“{name}”" in mail["BodyText"]
        assert mail["To"] == [MAIL]
        assert unlinked(row.message) in mail["BodyText"]
    assert set(cloud.embedded.state.parent.iterdir()) == before
    assert not list((cloud.embedded.state / "work").iterdir())


@pytest.fixture
def odd_zip(survey: Survey) -> bytes:
    """The small survey as people zip it: nested, with a Mac's leavings, shouting suffixes and a broken photo."""
    file = io.BytesIO()
    with zipfile.ZipFile(survey.zip_path) as good, zipfile.ZipFile(file, "w") as odd:
        names = [name for name in good.namelist() if not name.endswith("/")]
        for number, name in enumerate(names):
            data = good.read(name)
            odd.writestr(f"Flug über Brücke/Tag {number % 2}/{Path(name).stem}.JPG", data)
        odd.writestr("Flug über Brücke/Tag 0/broken.jpg", good.read(names[0])[:9000])
        odd.writestr("__MACOSX/Flug über Brücke/._broken.jpg", b"\0\5\x16\7")
        odd.writestr("Flug über Brücke/.DS_Store", b"Bud1")
        odd.writestr("Flug über Brücke/notes.txt", b"windy")
    return file.getvalue()


def test_odd_zips_are_taken(cloud: Cloud, odd_zip: bytes, survey: Survey) -> None:
    job = cloud.upload(odd_zip, "odd-zip")
    row = cloud.until(job, lambda row: row.state in {JobState.TRAINING, *END_STATES}, 300)
    assert row.state is JobState.TRAINING, cloud.logs()
    cloud.deployment.stop(job)
    assert row.counts["registered"] == survey.photos
    bucket = cloud.deployment.bucket
    report: dict[str, Any] = json.loads(
        bucket.client.get_object(Bucket=bucket.name, Key=f"jobs/{job}/colmap/report.json")["Body"].read()
    )
    (broken,) = (photo for photo in report["photos"] if "broken" in json.dumps(photo["name"]))
    assert not broken["registered"]
    assert broken["reason"]

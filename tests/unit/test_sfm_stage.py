"""The stage around COLMAP: unpacking, refusals, staging, progress, failures of the child, the report."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.sfm import stage
from services.sfm.capture.image_quality import ImageQuality
from services.sfm.capture.survey import assess_capture
from services.sfm.colmap import process
from services.sfm.colmap.snapshot import Snapshot
from services.sfm.messages import ColmapResult, ColmapTask, PhotoResult
from services.sfm.photo import PhotoMetadata, Unreadable
from services.sfm.photos.ingest import IngestResult, ingest
from services.sfm.photos.read import PhotoCopy
from services.sfm.photos.unpack import unpack
from services.sfm.report.build import NO_FEATURES, NOT_REGISTERED, build_report
from services.sfm.staging import stage_photos
from spaceport.pipeline.errors import LostResource, Refused, Slug, Stopped
from spaceport.pipeline.options import SfmOptions
from spaceport.pipeline.reports.sfm import Georeference, MatchingReport, ReconstructionReport, SfmReport
from spaceport.pipeline.uploads.photo_zip import ExtractResult
from spaceport.progress import Count, Silent


class Recorder:
    """Progress that remembers; ends the work after `limit` updates."""

    def __init__(self, limit: int = 10**6) -> None:
        self.fractions: list[float] = []
        self.messages: list[str] = []
        self.limit = limit

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        self.fractions.append(fraction)
        self.messages.append(message)

    def check(self) -> None:
        if len(self.fractions) >= self.limit:
            raise Stopped


def photo_file(path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((90, 160, 3), np.uint8)).save(path, **options)
    return path


def refusal(source: Path, output: Path) -> Slug:
    with pytest.raises(Refused) as caught:
        stage.run(source, output, SfmOptions(), Silent())
    assert not list(output.parent.glob(".*"))
    assert not (output / "colmap").exists()
    return caught.value.slug


def test_colmap_is_never_loaded_beside_pillow() -> None:
    code = "import services.sfm.stage, sys; assert 'PIL.Image' in sys.modules; assert 'pycolmap' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_of_photos_is_copied_without_junk_and_links(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("b/2.JPG", "a 1.jpg", "c.jpeg", ".hidden/x.jpg", "__MACOSX/y.jpg"):
        photo_file(source / name, format="JPEG")
    (source / "notes.txt").write_text("n")
    (source / "link.jpg").symlink_to(source / "c.jpeg")
    calls: list[tuple[str, int]] = []

    def on_file(photo: ExtractResult, total: int) -> None:
        calls.append((photo.name, total))

    files = unpack(source, tmp_path / "out", on_file)
    assert [photo.name for photo in files] == ["a 1.jpg", "b/2.JPG", "c.jpeg"]
    assert calls == [(photo.name, 3) for photo in files]
    assert (tmp_path / "out/b/2.JPG").read_bytes() == (source / "b/2.JPG").read_bytes()


@pytest.mark.parametrize("place", ["photos.zip", "in/upload.zip", "in/source/upload.zip", "in/Flight 1.ZIP"])
def test_a_zip_is_taken_as_it_is_and_from_a_folder(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    zip_path = Path(place)
    zip_path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(zip_path, "w") as archive:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            archive.writestr(name, b"photo")
    source = zip_path if zip_path.parent == Path() else Path("in")
    for each in (source, source.resolve()):
        files = unpack(each, Path("out/extracted"), lambda *_: None)
        assert [photo.name for photo in files] == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_folder_of_archives_is_refused_by_their_name(tmp_path: Path) -> None:
    for name in ("flight 1.zip", "flight 2.zip"):
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(Refused, match=r"flight 1\.zip") as caught:
        unpack(tmp_path, tmp_path / "out/extracted", lambda *_: None)
    assert caught.value.slug is Slug.NESTED_ZIP


def test_what_an_earlier_run_wrote_into_the_folder_of_photos_is_not_photos(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo_file(tmp_path / name)
    for _ in range(2):
        files = unpack(tmp_path, tmp_path / "out/extracted", lambda *_: None)
        assert [photo.name for photo in files] == ["a.jpg", "b.jpg", "c.jpg"]


def test_refusals_before_colmap(tmp_path: Path) -> None:
    empty, two, broken, bad = (tmp_path / name for name in ("empty", "two", "broken", "bad"))
    empty.mkdir()
    for name in ("a.jpg", "b.jpg"):
        photo_file(two / name)
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
        data = photo_file(broken / name).read_bytes()
        (broken / name).write_bytes(data if name < "c" else data[:200])
    bad.mkdir()
    (bad / "upload.zip").write_bytes(b"no zip")
    assert refusal(empty, tmp_path / "1/out") is Slug.NO_IMAGES
    assert refusal(two, tmp_path / "2/out") is Slug.TOO_FEW_IMAGES
    assert refusal(broken, tmp_path / "3/out") is Slug.NO_READABLE_IMAGES
    assert refusal(bad, tmp_path / "4/out") is Slug.NOT_A_ZIP


def test_a_stop_passes_and_leaves_no_scratch(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    data = photo_file(tmp_path / "x.jpg").read_bytes()
    with zipfile.ZipFile(source / "upload.zip", "w") as archive:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            archive.writestr(name, data)
    for limit in range(1, 6):
        with pytest.raises(Stopped):
            stage.run(source, tmp_path / "jobs/out", SfmOptions(), Recorder(limit))
        assert not list((tmp_path / "jobs").glob(".*"))


def test_a_full_disk_is_a_lost_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stage, "ingest", full)
    with pytest.raises(LostResource) as caught:
        stage.run(tmp_path, tmp_path / "jobs/out", SfmOptions(), Silent())
    assert caught.value.slug is Slug.DISK_FULL


def test_colmap_gets_plain_names_jpegs_and_shared_cameras(tmp_path: Path) -> None:
    source = tmp_path / "source"
    photo_file(source / "f 1/é 1.JPG", format="JPEG")
    photo_file(source / "w.webp")
    photo_file(source / "w.webp.jpg")
    progress = stage.StageProgress(Silent())
    ingested = ingest(source, tmp_path / "extracted", tmp_path / "photos", 800, progress)
    staged, cameras = stage_photos(ingested)
    assert [photo.file for photo in staged.values()] == ["000000.jpg", "000001.jpg", "000002.jpg"]
    assert [photo.dense_name for photo in staged.values()] == ["f 1/é 1.JPG", "w.webp.jpg.jpg", "w.webp.jpg"]
    assert {photo.camera for photo in staged.values()} == {0}
    for photo in staged.values():
        with Image.open(tmp_path / "photos" / photo.file) as image:
            assert (image.format, image.size) == ("JPEG", (160, 90))
    photos, folder = list(staged.values()), tmp_path / "photos"
    task = ColmapTask(photos, cameras, folder, tmp_path, tmp_path / "colmap", SfmOptions(seed=3))
    assert ColmapTask.from_json(task.to_json()) == task


def test_the_fraction_never_falls() -> None:
    recorder = Recorder()
    progress = stage.StageProgress(recorder)
    for phase, done, total in [("features", 18, 18), ("mapping", 9, 18), ("mapping", 2, 18), ("undistortion", 1, 18)]:
        progress.count(phase, done, total)
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.messages[0] == "Extracting features from uploaded images: 18 of 18"
    ends = [(begin, end) for begin, end, _ in stage.PHASES.values()]
    assert [begin for begin, _ in ends[1:]] == [end for _, end in ends[:-1]]
    assert ends[-1][1] == 1.0


GIGABYTE = 10**9


@pytest.mark.parametrize(
    ("code", "log", "free", "slug"),
    [
        (-6, "terminate: database or disk is full", GIGABYTE, Slug.DISK_FULL),
        (1, "OSError: [Errno 28] No space left on device", GIGABYTE, Slug.DISK_FULL),
        (-6, "", 1000, Slug.DISK_FULL),
        (-9, "", GIGABYTE, Slug.OUT_OF_MEMORY),
        (-6, "what(): std::bad_alloc", GIGABYTE, Slug.OUT_OF_MEMORY),
        (1, "MemoryError", GIGABYTE, Slug.OUT_OF_MEMORY),
    ],
)
def test_the_end_of_the_worker_shows_which_resource_was_lost(code: int, log: str, free: int, slug: Slug) -> None:
    error = process._failure(code, log, free)
    assert isinstance(error, LostResource)
    assert error.slug is slug


def test_any_other_end_is_reported_with_the_log() -> None:
    error = process._failure(-signal.SIGSEGV, "the last words", GIGABYTE)
    assert type(error) is RuntimeError
    assert "-11: the last words" in str(error)


def test_the_report_says_what_became_of_each_photo(tmp_path: Path) -> None:
    photos = [PhotoMetadata(name, "JPEG", 160, 90, "DJI", "FC300S") for name in ("a.jpg", "b.jpg", "c.jpg")]
    copies = {photo.name: PhotoCopy(f"{number:06d}.jpg", 160, 90) for number, photo in enumerate(photos)}
    staged, _ = stage_photos(IngestResult([*photos], copies))
    best, other = (
        ReconstructionReport(mapper="incremental", photos=n, points=5 * n, reprojection_error_px=0.3, track_length=2.0)
        for n in (1, 0)
    )
    gps = Georeference(aligned=True, metric=True, axes="z", residuals_m={"000000.jpg": 0.25})
    result = ColmapResult(
        photos={
            "000000.jpg": PhotoResult(features=9, partners=2, matches=40, registered=True, points=5),
            "000001.jpg": PhotoResult(features=9, partners=1, matches=20, registered=False, points=0),
            "000002.jpg": PhotoResult(features=0, partners=0, matches=0, registered=False, points=0),
        },
        models=[best, other],
        georeference=gps,
        matching=MatchingReport(method="spatial", pairs=3, verified=1),
        cameras=[],
    )
    qualities = {photo.name: ImageQuality(1.0, 0.5, 40.0, bytes([number] * 32)) for number, photo in enumerate(photos)}
    capture = assess_capture(photos, qualities, 1, 100)
    snapshot = Snapshot(["a.jpg"], np.zeros((1, 3)), np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    ingested = IngestResult([*photos, Unreadable("d.jpg", "it is broken")], copies)
    report = build_report(ingested, staged, None, capture, result, SfmOptions(), snapshot, {})
    read = json.loads(report.model_dump_json())
    assert SfmReport.model_validate(read) == report
    reasons = {photo["name"]: photo["reason"] for photo in read["photos"]}
    assert reasons == {"a.jpg": None, "b.jpg": NOT_REGISTERED, "c.jpg": NO_FEATURES, "d.jpg": "it is broken"}
    assert read["photos"][0]["gps_residual_m"] == 0.25
    assert read["photos"][0]["camera"] == "DJI FC300S"
    assert read["photos"][3] == {"name": "d.jpg", "registered": False, "reason": "it is broken"}
    assert (read["model"], read["other_models"], read["georeference"]) == (
        best.model_dump(),
        [other.model_dump()],
        {"aligned": True, "metric": True, "axes": "z"},
    )

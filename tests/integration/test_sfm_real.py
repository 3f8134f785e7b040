"""The whole sfm stage on real photos and on the demo survey, whose truth is known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sfm_cases import plane_tilt, read_model, read_report
from surveys import shared_survey
from waiting import until

from services.sfm.stage import run
from spaceport.demo import load_truth
from spaceport.demo.align import align
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.errors import Refused, Slug, Stopped
from spaceport.pipeline.options import SfmOptions
from spaceport.progress import Count, Silent

PHOTOS, SIZE = 12, (512, 384)  # the survey of most tests: another one would have to be cast
DATA = Path(__file__).parents[2] / "../shared/data"


class Recorder:
    """Progress that remembers; raises `Stopped` at the first check after `stop_at` begins a message."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.fractions: list[float] = []
        self.messages: list[str] = []
        self.stop_at = stop_at

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        self.fractions.append(fraction)
        self.messages.append(message)

    def check(self) -> None:
        if self.stop_at and self.messages and self.messages[-1].startswith(self.stop_at):
            raise Stopped


def source_of(name: str, tmp_path: Path) -> Path:
    archive = DATA / f"{name}.zip"
    if not archive.is_file():
        pytest.skip(f"the real photos of {name} are not on this machine")
    source = tmp_path / "source"
    source.mkdir()
    shutil.copyfile(archive, source / "upload.zip")
    return source


def check_output(output: Path, outcome: Outcome, options: SfmOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    """What holds for every result; returns the report and the dense model."""
    assert {path.name for path in output.iterdir()} == {"extracted", "colmap"}
    explained = {"report.json", "report.html", "georeference.json", "top_view.svg", "thumbs-0.webp"}
    written = {path.name for path in (output / "colmap").iterdir()} - {"capture.svg"}  # only where there are positions
    assert written == {"sparse", "dense", *explained}
    assert {path.name for path in (output / "colmap/dense").iterdir()} == {"images", "sparse"}
    for folder in ("sparse", "dense/sparse"):
        files = {path.name for path in (output / "colmap" / folder).iterdir()}
        assert files == {"cameras.bin", "images.bin", "points3D.bin"}
    assert not list(output.parent.glob(".*")), "scratch must be gone"
    report = read_report(output)
    placed = {photo["dense_name"]: photo for photo in report["photos"] if photo["registered"]}
    images = output / "colmap/dense/images"
    assert {str(path.relative_to(images)) for path in images.rglob("*") if path.is_file()} == set(placed)
    dense, sparse = read_model(output / "colmap/dense/sparse"), read_model(output / "colmap/sparse")
    assert set(dense["centres"]) == set(placed)
    assert set(sparse["centres"]) == {photo["name"] for photo in placed.values()}
    sizes = {(width, height) for model, width, height in dense["cameras"] if model == "PINHOLE"}
    for name in placed:
        with Image.open(images / name) as image:
            assert image.size in sizes
            assert max(image.size) <= options.max_image_size
            assert not dict(image.getexif())
    assert {model for model, _, _ in dense["cameras"]} == {"PINHOLE"}
    assert len(dense["colours"]) == report["model"]["points"] == outcome.counts["points"]
    assert np.ptp(np.array(dense["colours"]), axis=0).min() > 50, "points must have the colours of the photos"
    assert dense["colours"] == sparse["colours"]
    assert outcome.counts["registered"] == len(placed)
    assert outcome.quality["reprojection_error_px"] == pytest.approx(sparse["error"], rel=1e-6)
    return report, dense


@pytest.mark.slow
def test_brighton_beach(tmp_path: Path) -> None:
    options, progress = SfmOptions(), Recorder()
    outcome = run(source_of("brighton_beach", tmp_path), tmp_path / "jobs/out", options, progress)
    report, dense = check_output(tmp_path / "jobs/out", outcome, options)
    assert outcome.counts["photos"] == 18
    assert int(outcome.counts["registered"]) >= 17
    assert outcome.quality["reprojection_error_px"] < 0.6
    assert len(report["cameras"]) == 1
    # what its tags say: a Phantom 3 that looked straight down from 40 m above its start
    capture = report["capture"]
    assert capture["cameras"] == {"DJI FC300S": 18}
    assert capture["height_range_m"] == [39.8, 40.2]
    assert capture["gimbal_pitch"] < -89
    assert 4 < capture["ground_sampling_cm"] < 5
    assert 0.6 < capture["figures"]["overlap"] < 0.75
    assert capture["figures"]["blurred"] == capture["figures"]["repeated"] == 0
    assert (tmp_path / "jobs/out/colmap/capture.svg").read_text().count("<polygon") == 18
    # metres, and up is up: the drone above the ground that it looks down on
    assert report["georeference"]["metric"]
    assert report["georeference"]["median_residual_m"] <= 0.5
    assert np.mean([view[2] for view in dense["views"].values()]) < -0.9
    assert min(centre[2] for centre in dense["centres"].values()) - np.median(dense["heights"]) > 20
    page = (tmp_path / "jobs/out/colmap/report.html").read_text()
    for words in (
        "18 of 18 photos placed",
        "Phantom 3 Advanced",
        "40.1 m (39.8 to 40.2)",
        "straight down",
        "row after row",
    ):
        assert words in page
    # every photo was counted, and the fraction only rose
    assert progress.fractions == sorted(progress.fractions)
    assert progress.fractions[-1] == pytest.approx(1.0)
    for phase in ("Unpacking your photos", "Checking your photos", "Placing photos in space"):
        assert f"{phase}: {outcome.counts['registered']} of 18" in progress.messages


@pytest.mark.slow
def test_banana(tmp_path: Path) -> None:
    """All of an orbit, one photo of which only looser matches place, and none of two photos of a beach among it."""
    options, source = SfmOptions(), source_of("banana", tmp_path)
    with zipfile.ZipFile(DATA / "brighton_beach.zip") as beach, zipfile.ZipFile(source / "upload.zip", "a") as both:
        for name in sorted(name for name in beach.namelist() if name.lower().endswith(".jpg"))[:2]:
            both.writestr(f"beach/{Path(name).name}", beach.read(name))
    outcome = run(source, tmp_path / "jobs/out", options, Silent())
    report, _ = check_output(tmp_path / "jobs/out", outcome, options)
    assert outcome.counts["registered"] == PHOTOS
    missing = [photo["name"] for photo in report["photos"] if not photo["registered"]]
    assert len(missing) == 2
    assert all(name.startswith("beach/") for name in missing)
    turned = next(photo for photo in report["photos"] if photo["name"].endswith("DSC_0434.JPG"))
    assert turned["points"] >= 30
    assert not report["georeference"]["aligned"]
    assert "position" in report["georeference"]["reason"]
    assert report["matching"]["method"] == "exhaustive"
    assert outcome.quality["reprojection_error_px"] < 0.6


@pytest.mark.slow
def test_caliterra(tmp_path: Path) -> None:
    """A field, flat as a board, and positions that miss it by 18 m in the median: they decide neither up nor metres."""
    options, source = SfmOptions(), source_of("caliterra", tmp_path)
    outcome = run(source, tmp_path / "jobs/out", options, Silent())
    report, dense = check_output(tmp_path / "jobs/out", outcome, options)
    assert outcome.counts["registered"] == 75
    assert plane_tilt(dense["points"]) < 3
    assert np.mean([view[2] for view in dense["views"].values()]) < -0.9, "the drone looked down"
    assert not report["georeference"]["metric"]
    warnings = " ".join(finding["sentence"] for finding in report["findings"] if finding["level"] == "warn")
    assert "position" in warnings
    assert "position" in outcome.message


@pytest.fixture(scope="module")
def survey() -> Path:
    return shared_survey(PHOTOS, *SIZE).zip_path.parent


def unzipped(survey: Path, target: Path) -> list[Path]:
    with zipfile.ZipFile(survey / "survey.zip") as archive:
        archive.extractall(target)
    return sorted(target.rglob("*.JPG"))


def test_the_demo_survey_is_where_it_truly_is(survey: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    shutil.copyfile(survey / "survey.zip", source / "upload.zip")
    options = SfmOptions()
    outcome = run(source, tmp_path / "jobs/out", options, Silent())
    report, dense = check_output(tmp_path / "jobs/out", outcome, options)
    truth = load_truth(survey / "truth.json")
    assert outcome.counts["registered"] == PHOTOS
    centres = np.array([dense["centres"][f"photos/{camera.name}"] for camera in truth.cameras])
    fit = align(centres, truth.centres)
    assert fit.residuals.max() < 0.005 * truth.scene_size
    assert fit.scale == pytest.approx(1, abs=0.005)
    assert np.degrees(np.arccos(fit.rotation[2, 2])) < 1  # between our up and the true one
    # also without any alignment after the fact: only the origin is ours
    offsets = centres - truth.centres
    assert np.linalg.norm(offsets - offsets.mean(axis=0), axis=1).max() < 0.005 * truth.scene_size
    assert report["georeference"]["max_residual_m"] < 0.005 * truth.scene_size


def test_a_mixed_folder_loses_only_what_is_broken(survey: Path, tmp_path: Path) -> None:
    """WebP, TIFF, blanks in names, a turned-photo tag, a truncated photo and one of another place."""
    source = tmp_path / "source"
    photos = unzipped(survey, source)
    for photo, suffix in zip(photos[:2], (".webp", ".tif"), strict=True):
        with Image.open(photo) as image:
            image.save(photo.with_name(f"über {photo.stem}{suffix}"), exif=image.info["exif"], quality=95)
        photo.unlink()
    with Image.open(photos[2]) as image:
        tags = image.getexif()
        tags[0x0112] = 6
        image.save(photos[2], exif=tags, quality=95)
    photos[3].write_bytes(photos[3].read_bytes()[:20_000])
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((640, 480)).save(source / "other.jpg")
    options = SfmOptions(max_image_size=512)
    outcome = run(source, tmp_path / "jobs/out", options, Silent())
    report, dense = check_output(tmp_path / "jobs/out", outcome, options)
    reasons = {photo["name"]: photo["reason"] for photo in report["photos"] if not photo["registered"]}
    assert set(reasons) == {f"photos/{photos[3].name}", "other.jpg"}
    assert "cut off" in reasons[f"photos/{photos[3].name}"]
    assert any(name.startswith("photos/über") and name.endswith(".webp.jpg") for name in dense["centres"])
    assert outcome.counts == {"photos": PHOTOS + 1, "registered": PHOTOS - 1, "points": report["model"]["points"]}


def test_photos_of_different_places_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        Image.fromarray(noise).resize((640, 480)).save(source / f"{number}.jpg")
    with pytest.raises(Refused) as caught:
        run(source, tmp_path / "jobs/out", SfmOptions(), Silent())
    assert caught.value.slug is Slug.NO_OVERLAP
    assert not (tmp_path / "jobs/out/colmap").exists()


def test_one_place_seen_from_one_spot_is_refused(survey: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    photos = unzipped(survey, tmp_path / "photos")
    source.mkdir()
    for number in range(4):
        shutil.copyfile(photos[0], source / f"{number}.jpg")
    with pytest.raises(Refused) as caught:
        run(source, tmp_path / "jobs/out", SfmOptions(), Silent())
    assert caught.value.slug is Slug.HOPELESS_CAPTURE


@pytest.mark.parametrize("phase", ["Extracting", "Matching", "Placing", "Straightening"])
def test_a_stop_ends_colmap_at_once(survey: Path, tmp_path: Path, phase: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    shutil.copyfile(survey / "survey.zip", source / "upload.zip")
    progress = Recorder(stop_at=phase)
    with pytest.raises(Stopped):
        run(source, tmp_path / "jobs/out", SfmOptions(max_features=1024), progress)
    assert not children_of(os.getpid())
    assert not list((tmp_path / "jobs").glob(".*"))


def test_colmap_dies_with_its_parent(survey: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    shutil.copyfile(survey / "survey.zip", source / "upload.zip")
    code = (
        "import sys; from pathlib import Path; from services.sfm.stage import run\n"
        "from spaceport.pipeline.options import SfmOptions\n"
        "class Tell:\n"
        "    def update(self, fraction, message, **counts): print(message, flush=True)\n"
        "    def check(self): pass\n"
        "run(Path(sys.argv[1]), Path(sys.argv[2]), SfmOptions(), Tell())\n"
    )
    command = [sys.executable, "-c", code, str(source), str(tmp_path / "jobs/out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert any(line.startswith("Extracting") for line in parent.stdout)
        orphans = children_of(parent.pid)
        assert len(orphans) == 1
        parent.kill()
    until(lambda: not any(alive(pid) for pid in orphans))


def children_of(pid: int) -> list[int]:
    """Running `services.sfm.colmap.worker` children, from /proc."""
    tasks = Path(f"/proc/{pid}/task")
    children = {int(child) for task in tasks.glob("*/children") for child in task.read_text().split()}
    return [child for child in children if alive(child) and b"services.sfm.colmap.worker" in command_of(child)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    return bool(command_of(pid))  # empty for a zombie

"""The whole stage: files in, a proven SOG out, or the plain reason why not."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from random_models import gaussians

from services.compress import core, lod, stage
from services.compress.proving.proof import Proof, ViewPsnr
from services.compress.rate_control import search
from services.compress.rate_control.allocation import Target
from services.compress.rate_control.search import Search, SearchResult
from services.compress.stage import run
from services.compress.viewing import pictures
from spaceport.pipeline.errors import Refused, Slug, Stopped
from spaceport.pipeline.options import CompressOptions, CompressPreset
from spaceport.pipeline.reports.compress import CompressReport, ViewKind
from spaceport.pipeline.reports.viewer import ViewerSettings
from spaceport.progress import Progress, Silent
from spaceport.splats import scratch
from spaceport.splats.cameras import Camera, write_cameras
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.model import Gaussians
from spaceport.splats.render import render
from spaceport.splats.sog.codec import order
from spaceport.splats.sog.codec.decode import PackedGaussians
from spaceport.splats.sog.codec.reader import read_packed_bundle, read_sog

BRIGHTON = Path(__file__).parents[2] / "../shared/data/models/brighton.ply"
FILES = {
    "means_l.webp", "means_u.webp", "scales.webp", "quats.webp", "sh0.webp", "shN_centroids.webp", "shN_labels.webp",
    "meta.json", "model.sog", "preview.jpg", "report.json", "viewer.json", "poster.jpg", "thumb.jpg",
    "report.html",
}  # fmt: skip


def nadir(x: float, y: float, held_out: bool) -> Camera:
    pose = np.eye(4)
    pose[:3, 3] = (-x, -y, 0)
    return Camera(f"{x}_{y}", 512, 384, 360.0, 360.0, 256.0, 192.0, pose, held_out)


def job(folder: Path, model: Gaussians | Path, cameras: list[Camera] | None) -> Path:
    home = folder / "gaussian"
    home.mkdir(parents=True)
    if isinstance(model, Path):
        shutil.copyfile(model, home / "model.ply")
    else:
        write_ply(home / "model.ply", model)
    if cameras is not None:
        write_cameras(home / "cameras.json", cameras)
    return folder


@pytest.fixture
def model() -> Gaussians:
    random = np.random.default_rng(0)
    return gaussians(
        means=random.uniform((-3, -3, 4), (3, 3, 6), (3000, 3)),
        quats=random.normal(size=(3000, 4)),
        scales=random.normal(-2.5, 0.5, (3000, 3)),
        opacities=random.normal(0, 1, 3000),
        sh0=random.normal(0, 1, (3000, 1, 3)),
        shN=random.normal(0, 0.05, (3000, 3, 3)),
    )


LodChoice = Literal["auto", "never", "always"]
CAMERAS = [nadir(0, 0, False), nadir(1, 1, True)]


def test_everything_is_written_and_true(model: Gaussians, tmp_path: Path) -> None:
    model.opacities[:5] = -20
    source = job(tmp_path / "in", model, CAMERAS)
    outcome = run(source, tmp_path / "out", CompressOptions(), Silent())
    folder = tmp_path / "out" / "compressed"
    assert {path.name for path in folder.iterdir()} == FILES
    report = json.loads((folder / "report.json").read_text())
    assert CompressReport.model_validate(report).model_dump(mode="json", exclude_unset=True) == report
    assert outcome.degraded is None and outcome.quality["sog_psnr"] >= 30
    assert outcome.counts["gaussians"] == 2995 == len(read_sog(folder / "model.sog"))
    assert outcome.counts["dropped"] == 5 and report["dropped"] == {"invisible": 5}
    assert "5 Gaussians" in outcome.message
    assert outcome.counts["sog_bytes"] == (folder / "model.sog").stat().st_size == report["sog_bytes"]
    assert outcome.counts["ply_bytes"] == (source / "gaussian/model.ply").stat().st_size
    assert [(view["kind"], view["held_out"]) for view in report["views"]][:3] == [
        ("photo", True), ("between", False), ("below", False),
    ]  # fmt: skip
    assert report["held_out_missing"] == "no held-out photos came with the model" and "held_out" not in report
    assert report["mb_per_million"] == pytest.approx(report["sog_bytes"] / 2995, abs=1e-3)
    for name, size in report["file_bytes"].items():
        assert (folder / name).stat().st_size == size
    with Image.open(folder / "preview.jpg") as picture:
        assert picture.size == (3 * 512, 384 + 22)


def test_the_core_returns_what_the_stage_writes(
    model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(job(tmp_path / "in", model, CAMERAS), tmp_path / "out", CompressOptions(), Silent())
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    compressed = core.compress(model, CAMERAS, CompressOptions(), Silent())
    folder = tmp_path / "out" / "compressed"
    assert compressed.bundle == (folder / "model.sog").read_bytes() and compressed.rejection is None
    assert all(data == (folder / name).read_bytes() for name, data in compressed.encoded.files.items())
    for name, values in read_sog(folder / "model.sog").arrays().items():
        np.testing.assert_array_equal(values, getattr(compressed.decoded, name))
    assert not list((tmp_path / "empty").iterdir())


def test_held_out_photos_tell_what_compression_costs_on_them(
    model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = job(tmp_path / "in", model, CAMERAS)
    seen = np.clip(render(model, CAMERAS[1].rescale(0.5)), 0, 1)
    Image.fromarray(np.round(255 * seen).astype(np.uint8)).save(source / "gaussian/held-out-0.jpg", quality=95)
    of_training = source / "gaussian/report.json"
    of_training.write_text(json.dumps({"held_out_photos": [CAMERAS[1].name]}))
    read: list[Path] = []
    read_bytes = Path.read_bytes

    def noting(path: Path) -> bytes:
        read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", noting)
    run(source, tmp_path / "out", CompressOptions(), Silent())
    assert read.count(of_training) == 1, "for the held-out photos, the flight and the report page"
    report = CompressReport.model_validate_json((tmp_path / "out/compressed/report.json").read_bytes())
    assert report.held_out is not None and report.held_out_missing is None and report.held_out.photos == 1
    assert report.held_out.model > 30 and report.held_out.loss > 0
    assert "compression costs" in (tmp_path / "out/compressed/report.html").read_text()


def test_a_job_that_took_long_enough_has_a_flight(
    model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "FRAMES", 12)
    source = job(tmp_path / "in", model, CAMERAS)
    (source / "gaussian/report.json").write_text('{"seconds": 3000}')
    outcome = run(source, tmp_path / "out", CompressOptions(), Silent())
    folder = tmp_path / "out/compressed"
    assert {path.name for path in folder.iterdir()} == FILES | {"flight.mp4"}
    assert outcome.counts["thumb_bytes"] == (folder / "thumb.jpg").stat().st_size
    report = CompressReport.model_validate_json((folder / "report.json").read_bytes())
    assert report.flight_missed is None and report.flight_size == (1280, 720) and report.flight_pictures == 12
    assert report.look_seconds and report.look_seconds < 333
    viewer = ViewerSettings.model_validate_json((folder / "viewer.json").read_bytes())
    assert viewer.metric.why_not and len(viewer.flight.keys) == 60
    with Image.open(folder / "poster.jpg") as poster:
        assert poster.size == (1280, 720)


ON_ONE_CORE = """
import os, sys
from pathlib import Path
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from services.compress.stage import run
from spaceport.pipeline.options import CompressOptions, CompressPreset
from spaceport.progress import Progress, Silent
run(Path(sys.argv[1]), Path(sys.argv[2]), CompressOptions(lod="always", flight=False), Silent())
"""


def test_the_same_model_gives_the_same_files(model: Gaussians, tmp_path: Path) -> None:
    """Here, and in another process with as few threads as can be."""
    source = job(tmp_path / "in", model, CAMERAS)
    run(source, tmp_path / "a", CompressOptions(lod="always", flight=False), Silent())
    command = [sys.executable, "-c", ON_ONE_CORE, str(source), str(tmp_path / "b")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], timeout=300)
    files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert {path.name for path in files} == FILES | {"lod-meta.json"}
    report = CompressReport.model_validate_json((tmp_path / "a/compressed/report.json").read_bytes())
    assert report.published and report.lod_psnr is not None and len(report.lod_counts or ()) == report.lod_levels
    stored = [path.stat().st_size for path in (tmp_path / "a/compressed/lod").rglob("*.*")]
    assert report.lod_bytes and sum(report.lod_bytes) + (report.lod_meta_bytes or 0) == sum(stored)
    assert report.lod_leaves == 1 and report.lod_errors and report.lod_errors[0] == 0 < report.lod_errors[1]
    for name in files - {Path("compressed/report.json")}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    other = CompressReport.model_validate_json((tmp_path / "b/compressed/report.json").read_bytes())
    clocks = {"look_seconds": report.look_seconds, "lod_seconds": report.lod_seconds}
    assert all(clocks.values()) and other.model_copy(update=clocks) == report
    assert len(files) == sum(path.is_file() for path in (tmp_path / "b").rglob("*"))


@pytest.mark.parametrize(
    ("choice", "size", "expected"),
    [("auto", 2_000_001, True), ("auto", 2_000_000, False), ("never", 10**9, False), ("always", 1, True)],
)
def test_a_model_over_two_megabytes_is_streamed(choice: LodChoice, size: int, expected: bool) -> None:
    assert lod.is_streamed(CompressOptions(lod=choice), size) is expected


def test_a_job_asks_for_levels_by_the_size_of_its_bundle(
    model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = job(tmp_path / "in", model.subset(np.arange(300)), CAMERAS)
    sizes: list[int] = []

    def the_second(options: CompressOptions, sog_bytes: int) -> bool:
        sizes.append(sog_bytes)
        return len(sizes) == 2

    monkeypatch.setattr(stage, "is_streamed", the_second)
    for name in ("first", "second"):
        run(source, tmp_path / name, CompressOptions(flight=False), Silent())
    assert sizes == [(tmp_path / "first/compressed/model.sog").stat().st_size] * 2
    assert not (tmp_path / "first/compressed/lod").exists()
    assert (tmp_path / "second/compressed/lod/lod-meta.json").is_file()


@pytest.mark.parametrize(
    ("worst", "sentence"),
    [(36.5, None), (33.0, "The finest level reached 44.3 dB, 33.0 dB in the worst view, so none is published.")],
)
def test_levels_are_published_if_their_worst_view_allows_it_too(
    worst: float, sentence: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the bundle: 40 dB are asked for, and so 36 in each view."""
    picture = np.zeros((2, 2, 3), np.float32)
    psnr = (50.0, 50.0, worst)
    proof = Proof([ViewPsnr(ViewKind.ORBIT, "", False, each) for each in psnr], (picture, picture))
    monkeypatch.setattr(lod, "write_streamed", lambda folder, *_: folder.mkdir() or {"lod_levels": 1})
    monkeypatch.setattr(lod, "read_level", lambda *_: None)
    compressed: Any = SimpleNamespace(
        encoded=SimpleNamespace(gaussians=None),
        best=SimpleNamespace(quality=None),
        prover=SimpleNamespace(compare=lambda _: proof),
    )
    figures = lod.write_lod(tmp_path / "lod", compressed, CompressOptions(min_psnr=40.0), Silent())
    assert figures.get("lod_missed") == sentence
    assert (tmp_path / "lod").exists() is ("lod_psnr" in figures) is (sentence is None)


def test_a_result_that_is_not_good_enough_is_not_published(model: Gaussians, tmp_path: Path) -> None:
    source = job(tmp_path / "in", model, CAMERAS)
    outcome = run(source, tmp_path / "out", CompressOptions(min_psnr=99.0, palette_size=64), Silent())
    assert outcome.degraded is not None and outcome.degraded.slug is Slug.COMPRESSION_BROKEN
    assert "99.0 dB" in outcome.degraded.sentence and "sog_bytes" not in outcome.counts
    folder = tmp_path / "out" / "compressed"
    assert {path.name for path in folder.iterdir()} == {"preview.jpg", "report.json", "report.html"}
    report = json.loads((folder / "report.json").read_text())
    assert len(report["attempts"]) >= 1 and report["published"] is False
    assert "99.0 dB" in (CompressReport.model_validate(report).why_not or "")


class PromisesTooMuch(Search):
    """A search whose tables are 15 dB off where less than 45 dB are asked for."""

    def run(self, target: Target, progress: Progress, earlier: SearchResult | None = None) -> SearchResult:
        assert target.psnr is not None
        psnr = target.psnr - 15 if target.psnr < 45 else target.psnr
        return super().run(replace(target, psnr=psnr), progress, earlier)


def test_the_next_preset_up_rescues_a_file(model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "Search", PromisesTooMuch)
    options = CompressOptions(preset=CompressPreset.WEB, min_psnr=40)
    outcome = run(job(tmp_path / "in", model, CAMERAS), tmp_path / "out", options, Silent())
    report = json.loads((tmp_path / "out/compressed/report.json").read_text())
    assert outcome.degraded is None and report["published"] and report["preset"] == "balanced"
    tried = [attempt["sog_psnr"] for attempt in report["attempts"]]
    assert tried[0] < 40 and outcome.quality["sog_psnr"] == max(tried) >= 40
    assert (tmp_path / "out/compressed/model.sog").stat().st_size == outcome.counts["sog_bytes"]


def test_a_file_that_holds_another_model_than_was_rendered_is_not_published(
    model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(bundle: bytes, budget: int) -> PackedGaussians:
        packed = read_packed_bundle(bundle, budget)
        assert isinstance(packed, PackedGaussians)
        packed.colour[7, 3] ^= 1
        return packed

    monkeypatch.setattr(search, "read_packed_bundle", damaged)
    outcome = run(job(tmp_path / "in", model, CAMERAS), tmp_path / "out", CompressOptions(), Silent())
    assert outcome.degraded is not None and "does not hold the model that was rendered" in outcome.degraded.sentence
    assert not (tmp_path / "out").exists()


def test_a_model_on_disk_gives_the_files_of_one_in_memory(
    model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = job(tmp_path / "in", model, CAMERAS)
    run(source, tmp_path / "a", CompressOptions(flight=False), Silent())
    monkeypatch.setattr(scratch, "LARGE", 1)
    monkeypatch.setattr(scratch, "BLOCK_BYTES", 50_000)
    run(source, tmp_path / "b", CompressOptions(flight=False), Silent())
    bundles = [(tmp_path / each / "compressed/model.sog").read_bytes() for each in "ab"]
    assert bundles[0] == bundles[1]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["compressed"]


def test_a_model_that_memory_does_not_allow_is_delivered_as_it_is(
    model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "memory_limit", lambda: 100 << 20)
    monkeypatch.setattr(stage, "read_ply", None)  # nothing is begun
    outcome = run(job(tmp_path / "in", model, CAMERAS), tmp_path / "out", CompressOptions(), Silent())
    assert outcome.degraded is not None and outcome.degraded.slug is Slug.MODEL_TOO_LARGE
    assert f"its {len(model):,} Gaussians need about 0.3 GB of memory, and 0.1 GB are there" in outcome.message
    assert not (tmp_path / "out").exists()


def test_when_no_preset_rescues_it_no_sog_is_published(model: Gaussians, tmp_path: Path) -> None:
    options = CompressOptions(preset=CompressPreset.WEB, min_psnr=85)
    outcome = run(job(tmp_path / "in", model, CAMERAS), tmp_path / "out", options, Silent())
    report = json.loads((tmp_path / "out/compressed/report.json").read_text())
    assert outcome.degraded is not None and "85.0 dB were asked for" in outcome.degraded.sentence
    assert report["preset"] == "archive" and not (tmp_path / "out/compressed/model.sog").exists()


def test_a_better_setting_is_tried_when_the_first_is_not_enough(model: Gaussians, tmp_path: Path) -> None:
    source = job(tmp_path / "in", model, CAMERAS)
    first = run(source, tmp_path / "a", CompressOptions(), Silent()).quality["sog_psnr"]
    second = run(source, tmp_path / "b", CompressOptions(min_psnr=first + 1), Silent())
    assert second.degraded is None and second.quality["sog_psnr"] >= first + 1


def test_the_report_says_where_the_bytes_go(model: Gaussians, tmp_path: Path) -> None:
    outcome = run(job(tmp_path / "in", model, CAMERAS), tmp_path / "out", CompressOptions(), Silent())
    folder = tmp_path / "out" / "compressed"
    parts = json.loads((folder / "report.json").read_text())["attribute_bytes"]
    assert sum(parts.values()) == (folder / "model.sog").stat().st_size
    assert set(parts) == {"means", "scales", "quats", "sh0_opacity", "shN_centroids", "shN_labels", "meta"}
    assert parts["means"] == sum((folder / f"means_{byte}.webp").stat().st_size for byte in "lu")
    assert {f"bytes_{part}": number for part, number in parts.items()}.items() <= outcome.counts.items()


def test_a_higher_target_takes_more_bytes_and_is_met(model: Gaussians, tmp_path: Path) -> None:
    source = job(tmp_path / "in", model, CAMERAS)
    made = [run(source, tmp_path / str(psnr), CompressOptions(target_psnr=psnr), Silent()) for psnr in (36.0, 44.0)]
    assert made[0].quality["sog_psnr"] >= 36 and made[1].quality["sog_psnr"] >= 44
    assert int(made[0].counts["sog_bytes"]) < int(made[1].counts["sog_bytes"])


def test_no_file_over_the_limit_is_published(model: Gaussians, tmp_path: Path) -> None:
    source = job(tmp_path / "in", model, CAMERAS)
    options = CompressOptions(max_bytes=45_000, min_psnr=20.0)
    fits = run(source, tmp_path / "fits", options, Silent())
    assert fits.degraded is None and int(fits.counts["sog_bytes"]) <= 45_000
    tight = run(source, tmp_path / "tight", CompressOptions(max_bytes=1_000), Silent())
    assert tight.degraded is not None and "1,000" in tight.degraded.sentence
    assert not (tmp_path / "tight/compressed/model.sog").exists()


def test_without_cameras_the_model_is_looked_at_from_where_people_look(model: Gaussians, tmp_path: Path) -> None:
    outcome = run(job(tmp_path / "in", model, None), tmp_path / "out", CompressOptions(), Silent())
    report = json.loads((tmp_path / "out/compressed/report.json").read_text())
    assert "made cameras" in report["views_from"]
    assert {"orbit", "near", "above"} <= report["kinds"].keys() == {view["kind"] for view in report["views"]}
    for kind, psnr in report["kinds"].items():
        seen = [view["psnr"] for view in report["views"] if view["kind"] == kind]
        assert (psnr["mean"], psnr["worst"]) == (pytest.approx(np.mean(seen)), min(seen))
    assert outcome.quality["sog_psnr_worst"] > 30


def test_bad_input_is_refused_with_its_slug(model: Gaussians, tmp_path: Path) -> None:
    source = job(tmp_path / "in", model, CAMERAS)
    with pytest.raises(Refused) as missing:
        run(tmp_path / "nowhere", tmp_path / "out", CompressOptions(), Silent())
    assert missing.value.slug is Slug.INPUT_MISSING
    (source / "gaussian/cameras.json").write_text("{}")
    with pytest.raises(Refused) as cameras:
        run(source, tmp_path / "out", CompressOptions(), Silent())
    assert cameras.value.slug is Slug.BAD_MODEL
    (source / "gaussian/model.ply").write_bytes(b"ply\nnonsense")
    with pytest.raises(Refused) as broken:
        run(source, tmp_path / "out", CompressOptions(), Silent())
    assert broken.value.slug is Slug.BAD_MODEL
    model.opacities[:] = -20
    with pytest.raises(Refused, match="3000 invisible"):
        run(job(tmp_path / "dark", model, CAMERAS), tmp_path / "out", CompressOptions(), Silent())


def test_a_model_too_large_for_one_file_is_refused(
    model: Gaussians, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "LARGEST_SIDE", 52)  # 3,000 Gaussians need 56
    with pytest.raises(Refused, match="3,000 Gaussians do not fit") as refused:
        run(job(tmp_path / "in", model, CAMERAS), tmp_path / "out", CompressOptions(), Silent())
    assert refused.value.slug is Slug.BAD_MODEL and not (tmp_path / "out").exists()


def test_a_stop_passes_and_leaves_nothing(model: Gaussians, tmp_path: Path) -> None:
    class StopSoon(Silent):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            if self.calls > 4:
                raise Stopped

    with pytest.raises(Stopped):
        run(job(tmp_path / "in", model, CAMERAS), tmp_path / "out", CompressOptions(), StopSoon())
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not BRIGHTON.exists(), reason="the model brighton.ply is not there")
def test_brighton_is_small_and_alike(tmp_path: Path) -> None:
    cameras = [nadir(0, 0, True), nadir(1.5, 2, False), nadir(3, -2, False), nadir(4.5, 1, False), nadir(4, 3, False)]
    outcome = run(job(tmp_path / "in", BRIGHTON, cameras), tmp_path / "out", CompressOptions(), Silent())
    assert int(outcome.counts["sog_bytes"]) <= 280_000
    assert outcome.quality["sog_psnr"] >= 44.5


def test_a_model_with_odd_gaussians_is_compressed_without_them(tmp_path: Path) -> None:
    """Real models hold infinite opacities and worse: what cannot be stored is dropped and counted, not the model."""
    rng = np.random.default_rng(3)
    count = 300
    model = Gaussians(
        means=rng.normal(size=(count, 3)).astype(np.float32),
        quats=rng.normal(size=(count, 4)).astype(np.float32),
        scales=np.full((count, 3), -2.0, np.float32),
        opacities=np.full(count, 2.0, np.float32),
        sh0=rng.normal(size=(count, 1, 3)).astype(np.float32),
        shN=np.zeros((count, 0, 3), np.float32),
    )
    model.opacities[5] = np.inf  # simply opaque
    model.quats[6] = 0
    model.means[7] = np.nan
    outcome = run(job(tmp_path / "in", model, None), tmp_path / "out", CompressOptions(), Silent())
    assert outcome.degraded is None, outcome.degraded
    assert (outcome.counts["gaussians"], outcome.counts["dropped"]) == (count - 2, 2)

"""What people sent that failed once: each upload of the field cases now ends as its README expects.

The kinds have tests of their own, with made inputs; these are the very files, where they are at hand.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sfm_cases import Run, plane_tilt, read_model, read_report

from services.sfm.stage import run
from spaceport.pipeline.errors import Refused
from spaceport.pipeline.options import SfmOptions
from spaceport.pipeline.uploads.photo_zip import inspect
from spaceport.progress import Silent

pytestmark = pytest.mark.slow  # whole runs of the stage, a few seconds each
FIELD = Path(__file__).parents[2] / "../shared/field"
REFUSED_WITHIN_S = 5.0
MAX_PLANE_TILT = 10.0
"""Degrees. The plane of a few hundred points, houses among them, is itself only about level."""


def case(name: str) -> Path:
    path = FIELD / name
    if not path.exists():
        pytest.skip(f"the field case {name} is not on this machine")
    return path


def reconstruct(archive: Path, tmp_path: Path) -> Run:
    source = tmp_path / "source"
    source.mkdir()
    shutil.copyfile(archive, source / "upload.zip")
    outcome = run(source, tmp_path / "jobs/out", SfmOptions(max_image_size=640), Silent())
    return Run(outcome, read_report(tmp_path / "jobs/out"))


def refusal(archive: Path, tmp_path: Path) -> str:
    """The sentence of an upload that the stage refuses, in good time."""
    begun = time.monotonic()
    with pytest.raises(Refused) as caught:
        reconstruct(archive, tmp_path)
    assert time.monotonic() - begun < 6 * REFUSED_WITHIN_S, "slower than a busy machine explains"
    return str(caught.value)


def assert_all_were_read(result: Run, photos: int) -> None:
    """They are small and few, so that COLMAP may leave one out; none was unreadable."""
    assert [photo["used"] for photo in result.report["photos"]] == [True] * photos
    assert result.registered >= photos - 1


def ground(tmp_path: Path) -> tuple[float, float]:
    """Degrees by which the points' plane is off level, and how far the lowest camera is above the ground."""
    model = read_model(tmp_path / "jobs/out/colmap/sparse")
    above = min(centre[2] for centre in model["centres"].values()) - np.median(model["heights"])
    return plane_tilt(model["points"]), float(above)


def test_01_deflate64_is_unpacked_or_named_with_its_remedy(tmp_path: Path) -> None:
    archive = case("01-deflate64/upload.zip")
    try:
        result = reconstruct(archive, tmp_path)
    except Refused as refused:
        assert "Deflate64" in str(refused)
        assert "7-Zip" in str(refused)
        assert "Deflate" in str(refused).replace("Deflate64", "")
    else:
        assert_all_were_read(result, 4)


@pytest.mark.parametrize("name", ["02-backslash", "04-sjis-names"])
def test_02_and_04_names_of_other_systems_are_read(name: str, tmp_path: Path) -> None:
    result = reconstruct(case(f"{name}/upload.zip"), tmp_path)
    assert_all_were_read(result, 4)
    names = [photo["name"] for photo in result.report["photos"]]
    assert [Path(name).name for name in names] == [f"SPACE_00{number}.JPG" for number in (13, 14, 15, 20)]
    assert all(name.count("/") == 1 for name in names)


def test_03_a_mac_zip_over_4_gib_is_no_damaged_one(tmp_path: Path) -> None:
    """Its photos are empty; what counts is that its table of contents is understood."""
    made = tmp_path / "upload.zip"
    subprocess.run([sys.executable, str(case("03-mac-4gib/make.py")), str(made)], check=True, timeout=120)
    try:
        with made.open("rb") as file:
            checked = inspect(file)
        assert len(checked.photos) == 450
    finally:
        made.unlink()


def test_05_photos_that_lack_only_their_end_are_used(tmp_path: Path) -> None:
    assert_all_were_read(reconstruct(case("05-jpeg-no-eoi/upload.zip"), tmp_path), 4)


def test_06_panoramas_are_named(tmp_path: Path) -> None:
    assert "360" in refusal(case("06-panorama/upload.zip"), tmp_path)


def test_08_stale_fixes_are_named_and_the_rest_is_used(tmp_path: Path) -> None:
    result = reconstruct(case("08-stale-gps/upload.zip"), tmp_path)
    assert result.report["georeference"]["aligned"]
    findings = [*result.report["findings"], *result.report["capture"]["findings"]]
    warnings = " ".join(finding["sentence"] for finding in findings if finding["level"] == "warn")
    for name in ("DJI_0013.JPG", "DJI_0014.JPG"):
        assert name in warnings
    assert "position" in result.outcome.message


@pytest.mark.parametrize("name", ["line", "noise"])
def test_09_one_strip_stands_upright(name: str, tmp_path: Path) -> None:
    result = reconstruct(case(f"09-one-strip/{name}.zip"), tmp_path)
    tilt, above = ground(tmp_path)
    assert tilt < MAX_PLANE_TILT
    assert above > 0
    assert not result.report["georeference"]["metric"] or name == "line"


@pytest.mark.parametrize("name", ["landscape_half_orbit", "portrait"])
def test_10_half_an_orbit_without_positions_stands_upright(name: str, tmp_path: Path) -> None:
    reconstruct(case(f"10-up-without-gps/{name}.zip"), tmp_path)
    tilt, above = ground(tmp_path)
    assert tilt < MAX_PLANE_TILT
    assert above > 0


def test_11_bands_are_left_out_by_name(tmp_path: Path) -> None:
    result = reconstruct(case("11-multispectral/upload.zip"), tmp_path)
    used = [photo["name"] for photo in result.report["photos"] if photo["registered"]]
    assert len(used) == 6
    assert all(name.endswith("_D.JPG") for name in used)
    text = json.dumps(result.report)
    assert "DJI_0013_MS_NIR.TIF" in text
    assert "overlap" not in result.outcome.message.lower()

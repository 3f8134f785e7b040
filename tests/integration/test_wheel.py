"""The wheel: it carries the page and the template, and serves the page where there is no Node and no checkout."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest
from waiting import until

from spaceport.local.cloud import ROOT
from spaceport.web import STATIC, is_built

needs_page = pytest.mark.skipif(not is_built(), reason="needs the page: make web")


def build(tree: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Build the wheel of a source tree, and write nothing into the tree."""
    out.mkdir()
    words = ["build", "--build-base", out / "build", "egg_info", "--egg-base", out, "bdist_wheel"]
    command = [
        sys.executable,
        "setup.py",
        "-q",
        *map(str, words),
        "--dist-dir",
        str(out / "dist"),
        "--bdist-dir",
        str(out / "bdist"),
    ]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel") / "out"
    done = build(ROOT, out)
    assert done.returncode == 0, done.stderr
    (path,) = (out / "dist").glob("*.whl")
    return path


@needs_page
def test_it_carries_the_whole_page_and_the_template(wheel: Path) -> None:
    page = {
        f"spaceport/web/static/{path.relative_to(STATIC).as_posix()}" for path in STATIC.rglob("*") if path.is_file()
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read("spaceport/template.yaml") == (ROOT / "template.yaml").read_bytes()
    assert page <= names
    assert {"spaceport/web/static/index.html", "functions/api/app.py", "services/train/__main__.py"} <= names


def test_none_is_built_without_the_page(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "spaceport").mkdir(parents=True)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "template.yaml", "spaceport/__init__.py"):
        shutil.copy(ROOT / name, tree / name)
    done = build(tree, tmp_path / "out")
    assert done.returncode == 1
    assert "make web" in done.stderr
    assert not list((tmp_path / "out").rglob("*.whl"))


@needs_page
@pytest.mark.slow
def test_installed_it_serves_the_page_on_a_machine_without_node(wheel: Path, tmp_path: Path) -> None:
    """Libraries are the ones of this environment; the package, its page and its template are the wheel's alone."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    packages = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    python = tmp_path / "venv/bin/python"
    environment = {"PATH": "/nowhere", "HOME": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    environment |= {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
    shown = tmp_path / "shown"
    with shown.open("wb") as output:
        command = [str(python), "-m", "spaceport", "up", "--state", str(tmp_path / "state")]
        up = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=output, stderr=output)
    try:
        until(lambda: "#code=" in shown.read_text() or up.poll() is not None, shown.read_text, seconds=120)
        (line,) = [line for line in shown.read_text().splitlines() if "#code=" in line]
        page = line.rpartition(" ")[2].partition("#")[0]
        with urlopen(page) as answer:
            assert answer.read() == (STATIC / "index.html").read_bytes()
        with urlopen(f"{page}config.json") as answer:
            assert b"_user_request_" in answer.read()
        where = subprocess.run(
            [python, "-c", "import spaceport; print(spaceport.__file__)"],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert where.stdout.startswith(str(packages))
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait()

"""benchmarks/gpu.sh on the machine that it is for: Python, torch, numba, what its list of wheels has, and no more."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from template import ROOT

SCRIPT = ROOT / "benchmarks/gpu.sh"
AT_HAND = ("torch", "numba")
IMPORTED = "import gpu_compare, gpu_scene, train_gpu\n"

# Python reads it at its start: modules of distributions that such a machine lacks cannot be imported.
REFUSING = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refusing())
"""


def with_dependencies(names: tuple[str, ...]) -> set[str]:
    """Names of the distributions and of all that they need, as far as they are installed."""
    seen: set[str] = set()
    waiting = [*names]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in seen:
            seen.add(name)
            try:
                needs = [Requirement(each) for each in importlib.metadata.requires(name) or []]
            except importlib.metadata.PackageNotFoundError:
                continue
            waiting += [each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
    return seen


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of such a machine. pytest's plugins are left out: those that are not there cannot be loaded."""
    brought = re.findall(r'"(\w+)": "([\w-]+)"', SCRIPT.read_text())
    assert len(brought) > 20
    there = with_dependencies(AT_HAND) | {package for _, package in brought}
    modules = importlib.metadata.packages_distributions()
    lacking = {name for name, owners in modules.items() if not there & {canonicalize_name(owner) for owner in owners}}
    lacking -= {"services", "spaceport", "pip", "setuptools", "pkg_resources", "_distutils_hack"}
    assert {"hypothesis", "boto3", "av"} <= lacking
    assert not {module for module, _ in brought} & lacking
    (tmp_path / "sitecustomize.py").write_text(REFUSING.format(names=lacking))
    paths = [str(tmp_path), str(ROOT), str(ROOT / "benchmarks")]
    return os.environ | {
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


def test_the_tests_for_a_card_start_on_a_bare_machine(bare: dict[str, str], tmp_path: Path) -> None:
    command = [str(SCRIPT), "--out", str(tmp_path / "out"), "tests"]
    done = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ (passed|skipped)", done.stdout)
    assert (tmp_path / "out/seconds").read_text().startswith("tests ")


@pytest.mark.slow
def test_the_comparison_starts_on_a_bare_machine(bare: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-c", IMPORTED], env=bare, check=True)


def test_the_wheels_are_those_that_the_script_installs() -> None:
    """All but pydantic's core, which is fetched by pydantic's own pin."""
    collected = (ROOT / "benchmarks/gpu_wheels.sh").read_text()
    packages = re.search(r"^packages=\((.*?)^\)", collected, re.MULTILINE | re.DOTALL)
    assert packages
    names = {re.split("[=<]", each.strip('"'))[0] for each in packages[1].split()}
    installed = {package for _, package in re.findall(r'"(\w+)": "([\w-]+)"', SCRIPT.read_text())}
    assert names == installed - {"pydantic-core"}

"""`benchmarks/gpu.sh --dry`: every step that needs no card, to its end; and what its table says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import gpu_compare

ROOT = Path(__file__).parents[2]
RUNS = {"standard": [(1.0, 20.0), (4.0, 25.0)], "mcmc": [(2.0, 22.5)]}


def test_the_table_says_when_each_method_reached_what(tmp_path: Path) -> None:
    for method, curve in RUNS.items():
        entries = [{"seconds": seconds, "psnr": psnr} for seconds, psnr in curve]
        quality = {"psnr_held_out": curve[-1][1], "psnr_held_out_cc": curve[-1][1] + 1}
        run = {"scene": "a-field", "method": method, "device": "a card", "iterations": 7000, "gaussians": 12_345}
        document = run | {"seconds": curve[-1][0], "quality": quality, "curve": entries}
        (tmp_path / f"a-field-{method}.json").write_text(json.dumps(document))
    lines = gpu_compare.table(tmp_path).splitlines()
    assert lines[1] == "a-field, a card; held-out PSNR in dB"
    assert "s to 22.0 dB | s to 23.0 dB | s to 24.0 dB | s to 24.5 dB" in lines[3]
    assert lines[5] == "| standard | 7,000 | 12,345 | 4 | 25.00 / 26.00 | 4 | 4 | 4 | 4 |"
    assert lines[6] == "| mcmc | 7,000 | 12,345 | 2 | 22.50 / 23.50 | 2 | - | - | - |"


def script(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "benchmarks/gpu.sh"), *words]
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_an_unknown_step_is_refused_with_the_steps() -> None:
    done = script("everything")
    assert done.returncode == 2
    assert "compare   time to PSNR" in done.stderr


def test_a_step_that_fails_is_named_and_the_next_ones_run(tmp_path: Path) -> None:
    done = script("--dry", "--out", str(tmp_path), "compare", "install")
    assert done.returncode == 1
    assert "failed: compare\n" in done.stderr
    assert "== install: " in done.stdout


@pytest.mark.slow
def test_without_a_card_it_runs_to_its_end(tmp_path: Path) -> None:
    done = script("--dry", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert {run["method"] for run in result["runs"]} == set(gpu_compare.METHODS)
    assert set(result["seconds"]) == {"install", "kernels", "tests", "pace", "scene", "compare"}
    for run in result["runs"]:
        assert run["curve"][-1]["psnr"] > 15
        assert run["quality"]["psnr_held_out_cc"] > 15
    again = script("--dry", "--out", str(tmp_path), "table")
    assert again.returncode == 0
    assert "| mcmc | 620 |" in (tmp_path / "gpu.md").read_text()

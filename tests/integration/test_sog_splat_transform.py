"""PlayCanvas' own tool reads what we write, and we read what it writes, to the same numbers."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from format_cases import assert_same
from random_models import gaussians

from spaceport.progress import Silent
from spaceport.splats.formats.ply import read_ply, write_ply
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.quality import STANDARD
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.reader import read_sog
from spaceport.splats.sog.codec.writer import write_bundle, write_folder

ROOT = Path(__file__).parents[2]
TOOL = ROOT / ".venv/npm/node_modules/@playcanvas/splat-transform/bin/cli.mjs"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(
    not (NODE and TOOL.exists()), reason="needs node and @playcanvas/splat-transform in .venv/npm"
)


def transform(*arguments: Path | str) -> None:
    subprocess.run([str(NODE), str(TOOL), *map(str, arguments)], check=True, capture_output=True, timeout=300)


def made(coefficients: int, count: int = 1500) -> Gaussians:
    random = np.random.default_rng(coefficients)
    return gaussians(
        means=random.normal(0, 5, (count, 3)),
        quats=random.normal(size=(count, 4)),
        scales=random.normal(-4, 1, (count, 3)),
        opacities=random.uniform(-4, 4, count),
        sh0=random.normal(size=(count, 1, 3)),
        shN=random.normal(0, 0.1, (count, coefficients, 3)),
    )


@pytest.mark.parametrize("coefficients", [0, 3, 8, 15])
def test_it_decodes_our_bundle_as_we_do(coefficients: int, tmp_path: Path) -> None:
    encoded = encode(made(coefficients), EncoderSettings(STANDARD), Silent())
    write_bundle(tmp_path / "model.sog", encoded.files)
    transform(tmp_path / "model.sog", "-w", tmp_path / "theirs.ply")
    assert_same(read_sog(tmp_path / "model.sog"), read_ply(tmp_path / "theirs.ply"))


def test_it_decodes_our_folder_as_we_do(tmp_path: Path) -> None:
    encoded = encode(made(3), EncoderSettings(STANDARD), Silent())
    write_folder(tmp_path / "set", encoded.files)
    transform(tmp_path / "set" / "meta.json", "-w", tmp_path / "theirs.ply")
    assert_same(read_sog(tmp_path / "set"), read_ply(tmp_path / "theirs.ply"))


def test_we_decode_its_bundle_as_it_does(tmp_path: Path) -> None:
    write_ply(tmp_path / "model.ply", made(3, 1100))
    transform("-g", "cpu", tmp_path / "model.ply", tmp_path / "model.sog")
    transform(tmp_path / "model.sog", tmp_path / "theirs.ply")
    assert_same(read_sog(tmp_path / "model.sog"), read_ply(tmp_path / "theirs.ply"))

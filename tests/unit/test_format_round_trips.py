"""What a format writes it reads back, within the step that it stores; and the second time, without any change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from format_cases import alphas, angles, made, models
from hypothesis import given, settings

from spaceport.splats.formats import compressed_ply, spz, table
from spaceport.splats.formats.limits import BrokenFile
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import C0
from spaceport.splats.sog.attributes import positions
from spaceport.splats.sog.codec.order import morton_order

HALF_BYTE = 0.5 / 255
# SPZ 2 stores x, y, z in steps of 1/127.5 and leaves w out whatever its size. An error of length e costs most where w
# is 0: there the cosine of half the angle between before and after is 1 - e.
WITHOUT_W = np.degrees(2 * np.arccos(1 - np.sqrt(3) * 0.5 / 127.5))


def again(form: table.Format, model: Gaussians) -> Gaussians:
    assert form.write is not None
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"model{form.suffix}"
        form.write(path, model)
        back, read_form = table.read_model(path)
    assert read_form is form
    return back


def off(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.float64) - b).max(initial=0))


@settings(max_examples=60)
@given(models())
def test_splat(model: Gaussians) -> None:
    visible = np.exp(model.scales.sum(axis=1, dtype=np.float64)) * np.floor(255 * alphas(model) + 0.5)
    kept = model.subset(np.argsort(-visible, kind="stable"))
    back = again(table.SPLAT, model)
    assert np.array_equal(back.means, kept.means) and back.shN.shape[1] == 0
    assert off(back.scales, kept.scales) < 1e-5
    assert off(alphas(back), alphas(kept)) < HALF_BYTE + 1e-6
    assert off(back.sh0 * C0, kept.sh0 * C0) < HALF_BYTE + 1e-6
    assert angles(back, kept).max() < np.degrees(2 * np.sqrt(3) / 128)


@settings(max_examples=60)
@given(models())
@pytest.mark.parametrize("version", [2, 3, 4])
def test_spz(version: int, model: Gaussians) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.spz"
        spz.write(path, model, version)
        back = spz.read(path)
        spz.write(path, back, version)
        twice = spz.read(path)
    assert off(back.means, model.means) <= 0.5 / (1 << spz.FRACTIONAL_BITS) + 1e-7 * np.abs(model.means).max()
    assert off(back.scales, model.scales) <= 0.5 / 16 + 1e-5
    assert off(alphas(back), alphas(model)) < HALF_BYTE + 1e-6
    assert off(back.sh0 * spz.COLOUR_SCALE, model.sh0 * spz.COLOUR_SCALE) < HALF_BYTE + 1e-6
    assert off(back.shN[:, :3], model.shN[:, :3]) <= 4.5 / 128 + 1e-5
    assert off(back.shN[:, 3:], model.shN[:, 3:]) <= 8.5 / 128 + 1e-5
    assert angles(back, model).max() < (WITHOUT_W + 0.01 if version == 2 else 0.5)
    for name in ("means", "scales", "sh0", "shN"):
        assert np.array_equal(getattr(back, name), getattr(twice, name)), name


@settings(max_examples=60)
@given(models())
def test_compressed_ply(model: Gaussians) -> None:
    kept = model.subset(morton_order(positions.encode(model.means, *positions.bounds(model.means))))
    back = again(table.COMPRESSED_PLY, model)
    for start in range(0, len(kept), compressed_ply.CHUNK):
        chunk = slice(start, start + compressed_ply.CHUNK)
        for name, scale, levels in (("means", 1, 1023), ("scales", 1, 1023), ("sh0", C0, 255)):
            before, after = getattr(kept, name)[chunk] * scale, getattr(back, name)[chunk] * scale
            span = np.ptp(before.reshape(-1, 3), axis=0)
            size = np.abs(before).max()
            assert (np.abs(after - before).max(axis=0) <= span * 0.5 / levels + 3e-6 * (1 + size)).all(), name
    assert off(alphas(back), alphas(kept)) < HALF_BYTE + 1e-6
    assert off(back.shN, kept.shN) <= 8 / 256 + 1e-6
    assert angles(back, kept).max() < 0.3


@settings(max_examples=30)
@given(models())
def test_ply_keeps_every_bit(model: Gaussians) -> None:
    back = again(table.PLY, model)
    assert all(np.array_equal(array, back.arrays()[name]) for name, array in model.arrays().items())


def test_spz_gives_up_fraction_bits_for_far_positions_and_refuses_farther_ones(tmp_path: Path) -> None:
    model = made(50, 0, 1, spread=20_000)
    spz.write(tmp_path / "far.spz", model)
    assert off(spz.read(tmp_path / "far.spz").means, model.means) <= 1 / 64
    with pytest.raises(BrokenFile, match="units away"):
        spz.write(tmp_path / "beyond.spz", made(50, 0, 1, spread=1e7))
    assert not (tmp_path / "beyond.spz").exists()


@pytest.mark.parametrize("form", [f for f in table.FORMATS if f.write], ids=lambda form: form.name)
def test_the_same_model_gives_the_same_bytes_and_no_half_file(form: table.Format, tmp_path: Path) -> None:
    assert form.write is not None
    for name in ("a", "b"):
        form.write(tmp_path / f"{name}{form.suffix}", made(300, 2, 7))
    assert (tmp_path / f"a{form.suffix}").read_bytes() == (tmp_path / f"b{form.suffix}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_decides_what_is_written_and_the_content_what_is_read(tmp_path: Path) -> None:
    assert table.format_of(Path("A.Compressed.PLY")) is table.COMPRESSED_PLY
    assert table.format_of(Path("a.ply")) is table.PLY
    assert table.format_of(Path("set/meta.json")) is table.SOG_FOLDER
    assert table.format_of(tmp_path) is table.SOG_FOLDER
    with pytest.raises(BrokenFile, match=r"\.spz"):
        table.format_of(Path("a.obj"))
    spz.write(tmp_path / "wrong.ply", made(5, 1, 3))
    model, read_form = table.read_model(tmp_path / "wrong.ply")
    assert read_form is table.SPZ and len(model) == 5


@pytest.mark.parametrize("version", [2, 3, 4])
def test_spz_says_that_a_model_is_antialiased(version: int, tmp_path: Path) -> None:
    for antialiased in (False, True):
        spz.write(tmp_path / "m.spz", replace(made(5, 1, 3), antialiased=antialiased), version)
        assert spz.read(tmp_path / "m.spz").antialiased is antialiased

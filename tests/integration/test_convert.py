"""`spaceport convert`: every pair of formats, the sentence at the end, and what happens when it cannot be done."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from random_models import gaussians
from test_sog_splat_transform import made
from typer.testing import CliRunner

from services.compress.convert import ConvertOptions, convert
from services.compress.editing import Edit
from spaceport.cli import app
from spaceport.cli.convert import describe_result
from spaceport.pipeline.options import CompressOptions, CompressPreset
from spaceport.progress import Silent
from spaceport.splats.formats.limits import BrokenFile
from spaceport.splats.formats.ply import read_ply, write_ply
from spaceport.splats.formats.table import read_model
from spaceport.splats.frame import AXES, Frame
from spaceport.splats.model import Gaussians

READABLE = ("m.ply", "m.compressed.ply", "m.spz", "m.splat", "m.sog", "set", "m.glb", "m.gltf")
WRITABLE = (*READABLE, "levels/lod-meta.json", "m.html")
QUICK = CompressOptions(preset=CompressPreset.WEB)


def smooth(count: int = 400) -> Gaussians:
    """A model that looks like something from the made cameras."""
    model = made(3, count)
    arrays = model.arrays() | {"scales": np.full((count, 3), -1.2), "shN": model.shN * 0.3}
    return Gaussians(**arrays)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write_ply(folder / "m.ply", smooth())
    for name in READABLE[1:]:
        convert(folder / "m.ply", folder / name, ConvertOptions(QUICK), Silent())
    return folder


@pytest.mark.parametrize(("source", "target"), [*product(READABLE, ("m.ply", "m.splat")), *product(["set"], WRITABLE)])
def test_any_format_becomes_any_other(sources: Path, source: str, target: str, tmp_path: Path) -> None:
    result = convert(sources / source, tmp_path / target, ConvertOptions(QUICK), Silent())
    assert result["gaussians"] == [400, 400]
    assert [path.name for path in tmp_path.iterdir()] == [
        target.split("/", maxsplit=1)[0]
    ]  # nothing half done is left beside it
    assert result["bytes"][1] > 3000
    if not target.endswith(".html"):
        model, _ = read_model(tmp_path / target)
        without = any("SH bands" in each for each in result["lost"]) or read_model(sources / source)[0].sh_degree == 0
        assert len(model) == 400 and model.sh_degree == (0 if without else 1)
    if target in ("m.ply", "m.glb", "m.gltf"):
        assert result["psnr"] is None, "nothing is rounded"
    else:
        assert result["psnr"] > 25


def test_what_is_lost_is_said(tmp_path: Path) -> None:
    arrays = {name: array.copy() for name, array in smooth().arrays().items()}
    arrays["means"][3] = np.nan
    arrays["opacities"][:5] = -20
    write_ply(tmp_path / "m.ply", gaussians(**arrays))
    result = convert(tmp_path / "m.ply", tmp_path / "m.splat", ConvertOptions(), Silent())
    assert result["gaussians"] == [400, 395]
    assert result["lost"] == [
        "1 Gaussian (not finite)",
        "4 Gaussians (invisible)",
        "SH bands: splat has no room for them",
    ]
    result = convert(tmp_path / "m.ply", tmp_path / "n.ply", ConvertOptions(sh_degree=0), Silent())
    assert result["lost"] == ["SH bands above 0, as asked for"] and read_ply(tmp_path / "n.ply").sh_degree == 0


def up_of_page(page: Path) -> list[float]:
    scene = re.search(r'"up":\s*\[([^]]+)]', page.read_text())
    assert scene
    return [float(part) for part in scene[1].split(",")]


def test_up_is_what_the_file_says_else_a_guess_that_is_printed(tmp_path: Path) -> None:
    write_ply(tmp_path / "unknown.ply", smooth())
    write_ply(tmp_path / "z.ply", replace(smooth(), frame=Frame(up=AXES["z"])))
    convert(tmp_path / "z.ply", tmp_path / "z.sog", ConvertOptions(QUICK), Silent())

    guessed = convert(tmp_path / "unknown.ply", tmp_path / "unknown.html", ConvertOptions(QUICK), Silent())
    assert guessed["notes"] == [
        "Nothing says which way is up; -y is a guess. If the model lies wrong, add --up z or another axis."
    ]
    assert up_of_page(tmp_path / "unknown.html") == [0, -1, 0]

    known = convert(tmp_path / "z.sog", tmp_path / "z.html", ConvertOptions(QUICK), Silent())
    assert known["notes"] == [] and up_of_page(tmp_path / "z.html") == [0, 0, 1]

    stated = ConvertOptions(QUICK, up="x")
    assert convert(tmp_path / "unknown.ply", tmp_path / "x.glb", stated, Silent())["notes"] == []
    assert read_model(tmp_path / "x.glb")[0].frame.up == pytest.approx((1, 0, 0))


def test_an_spz_has_y_up_whatever_is_up_in_its_source(tmp_path: Path) -> None:
    source = replace(smooth(), frame=Frame(up=AXES["z"]))
    write_ply(tmp_path / "z.ply", source)
    result = convert(tmp_path / "z.ply", tmp_path / "m.spz", ConvertOptions(), Silent())
    turned = "Viewers of SPZ take y for up: the model was turned, so that its z is y there."
    assert result["notes"] == [turned] and result["psnr"] > 25
    model, _ = read_model(tmp_path / "m.spz")
    assert model.frame.up == (0, 1, 0)
    np.testing.assert_allclose(model.means, source.means[:, [0, 2, 1]] * [1, 1, -1], atol=1e-3)

    write_ply(tmp_path / "unknown.ply", smooth())
    assert convert(tmp_path / "unknown.ply", tmp_path / "n.spz", ConvertOptions(), Silent())["notes"] == []
    np.testing.assert_allclose(read_model(tmp_path / "n.spz")[0].means, smooth().means, atol=1e-3)


def test_a_model_far_away_comes_back_where_it_was(tmp_path: Path) -> None:
    near = smooth()
    write_ply(tmp_path / "far.ply", replace(near, frame=Frame(origin=(358000.0, 5589500.0, 0.0))), at_origin=False)
    result = convert(tmp_path / "far.ply", tmp_path / "m.sog", ConvertOptions(QUICK), Silent())
    assert any("were moved" in note for note in result["notes"])
    assert any(note.startswith("0 is at 358000 5589500 0 of the source") for note in result["notes"])

    restore = ConvertOptions(QUICK, restore_origin=True)
    convert(tmp_path / "m.sog", tmp_path / "back.ply", restore, Silent())
    data = (tmp_path / "back.ply").read_bytes()
    assert b"property double x" in data and b"Origin" not in data
    back = read_ply(tmp_path / "back.ply")
    low, high = (getattr(np, name)(back.means + np.array(back.frame.origin), axis=0) for name in ("min", "max"))
    np.testing.assert_allclose(low, near.means.min(axis=0) + np.array((358000, 5589500, 0)), atol=0.1)
    np.testing.assert_allclose(high, near.means.max(axis=0) + np.array((358000, 5589500, 0)), atol=0.1)

    with pytest.raises(BrokenFile, match="Only a PLY"):
        convert(tmp_path / "far.ply", tmp_path / "m.spz", restore, Silent())
    lost = convert(tmp_path / "far.ply", tmp_path / "m.spz", ConvertOptions(), Silent())["lost"]
    assert "the origin at 358000 5589500 0: SPZ has no room for it" in lost


def test_a_model_is_changed_on_its_way(sources: Path, tmp_path: Path) -> None:
    edit = Edit(merge=(sources / "m.ply",), rotate=(0, 0, 90), scale=2, move=(100, 0, 0), decimate=500)
    result = convert(sources / "m.ply", tmp_path / "m.ply", ConvertOptions(edit=edit, up="x"), Silent())
    assert result["gaussians"] == [400, 500]
    assert re.fullmatch(
        r"800 Gaussians were merged into 500: \d+\.\d dB against all of them, \d+\.\d dB in the worst view\.",
        result["notes"][-1],
    )
    model = read_ply(tmp_path / "m.ply")
    assert model.frame.up == pytest.approx((0, 1, 0)), "x was up before the turn"
    assert abs(float(np.median(model.means[:, 0])) - 100) < 10

    half = Edit(crop=(-1e3, -1e3, -1e3, 0, 1e3, 1e3), decimate_percent=100)
    result = convert(sources / "m.ply", tmp_path / "half.ply", ConvertOptions(edit=half), Silent())
    kept = int((smooth().means[:, 0] <= 0).sum())
    assert result["notes"] == [
        f"{400 - kept} Gaussians lay outside the box and were cut off.",
        f"{kept} Gaussians are there to be seen, no more than {kept}: none were merged.",
    ]
    with pytest.raises(BrokenFile, match="Nothing lies in the box"):
        nowhere = ConvertOptions(edit=Edit(crop=(900, 900, 900, 901, 901, 901)))
        convert(sources / "m.ply", tmp_path / "none.ply", nowhere, Silent())
    assert not (tmp_path / "none.ply").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--crop", "1,2,3"], "needs 6 numbers"),
        (["--move", "far"], "needs 3 numbers"),
        (["--decimate", "half"], "needs 1 number"),
        (["--decimate", "0"], "greater than or equal to 1"),
        (["--decimate", "1.5"], "valid integer"),
        (["--rotate", "nan,0,0"], "finite"),
        (["--crop", "1,1,1,0,0,0"], "the lower one on each axis"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(sources: Path, tmp_path: Path, words: list[str], why: str) -> None:
    result = CliRunner().invoke(app, ["convert", str(sources / "m.ply"), str(tmp_path / "m.ply"), *words])
    assert result.exit_code != 0 and why in " ".join(result.output.split()), result.output
    assert not list(tmp_path.iterdir())


def test_a_sog_in_another_form_is_not_compressed_again(sources: Path, tmp_path: Path) -> None:
    for name in ("m.html", "set/meta.json", "again.sog"):
        result = convert(sources / "m.sog", tmp_path / name, ConvertOptions(up="z"), Silent())
        if name == "m.html":
            assert result["psnr"] is None and result["lost"] == [] and up_of_page(tmp_path / name) == [0, 0, 1]
    assert result["psnr"] is not None, "another up axis has to be written into it"
    convert(sources / "m.sog", tmp_path / "set", ConvertOptions(), Silent())
    convert(tmp_path / "set", tmp_path / "same.sog", ConvertOptions(), Silent())
    assert (tmp_path / "same.sog").read_bytes() == (sources / "m.sog").read_bytes()
    other = ConvertOptions(CompressOptions(target_psnr=30))
    assert convert(sources / "m.sog", tmp_path / "m.html", other, Silent())["psnr"] is not None


def test_an_unbundled_set_is_not_mixed_with_what_is_there(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old.webp").touch()
    convert(sources / "m.ply", tmp_path / "set" / "meta.json", ConvertOptions(QUICK), Silent())
    assert not (tmp_path / "set" / "old.webp").exists() and (tmp_path / "set" / "meta.json").exists()
    (tmp_path / "set" / "holiday.jpg").touch()
    with pytest.raises(BrokenFile, match="holds other things"):
        convert(sources / "m.ply", tmp_path / "set", ConvertOptions(QUICK), Silent())
    assert (tmp_path / "set" / "holiday.jpg").exists()


def test_a_streamed_model_goes_in_and_out(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = convert(sources / "m.ply", tmp_path / "big.v2/lod-meta.json", ConvertOptions(QUICK), Silent())
    assert result["to"] == "streamed SOG" and result["psnr"] == result["lod_psnr"] > 25
    line = describe_result("m.ply", "lod-meta.json", result)
    assert "4 levels of 400, 200, 100, 50 Gaussians (" in line and " in 1 leaf, made in " in line
    assert result["bytes"][1] == sum(path.stat().st_size for path in (tmp_path / "big.v2").rglob("*") if path.is_file())
    (tmp_path / "big.v2/0_0/old.webp").touch()
    convert(sources / "m.ply", tmp_path / "big.v2/lod-meta.json", ConvertOptions(QUICK), Silent())
    assert not (tmp_path / "big.v2/0_0/old.webp").exists()
    back = convert(tmp_path / "big.v2", tmp_path / "back.ply", ConvertOptions(), Silent())
    assert back["from"] == "streamed SOG" and back["gaussians"] == [400, 400]
    monkeypatch.chdir(tmp_path / "big.v2")
    with pytest.raises(BrokenFile, match="you are in it"):
        convert(sources / "m.ply", Path("meta.json"), ConvertOptions(QUICK), Silent())
    (tmp_path / "big.v2/0_0/meta.json").unlink()
    with pytest.raises(ValueError, match=r"meta\.json is missing"):
        read_model(tmp_path / "big.v2")
    (tmp_path / "big.v2/lod-meta.json").unlink()
    with pytest.raises(BrokenFile, match="holds other things"):  # sets, but not those of a streamed one
        convert(sources / "m.ply", tmp_path / "big.v2/lod-meta.json", ConvertOptions(QUICK), Silent())


def test_a_failed_conversion_leaves_the_old_file(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "m.sog").write_bytes(b"old")
    options = ConvertOptions(CompressOptions(target_psnr=99, min_psnr=99))
    with pytest.raises(BrokenFile, match="99"):
        convert(sources / "m.ply", tmp_path / "m.sog", options, Silent())
    assert (tmp_path / "m.sog").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_the_command_tells_sizes_likeness_and_losses(sources: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["convert", str(sources / "m.ply"), str(tmp_path / "m.splat")])
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "m.ply (PLY, 42.2 kB) → m.splat (splat, 12.8 kB): 400 Gaussians, 3.3 times smaller" in output
    assert "dB against the original" in output and "Left out: SH bands" in output


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [("m.ply", "m.obj", "No format has names like"), ("broken.ply", "m.spz", "does not end")],
)
def test_the_command_says_why_not(sources: Path, tmp_path: Path, source: str, target: str, words: str) -> None:
    (sources / "broken.ply").write_bytes(b"ply\nnonsense")
    result = CliRunner().invoke(app, ["convert", str(sources / source), str(tmp_path / target)])
    assert result.exit_code == 1 and words in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


def test_a_child_tells_json_lines(sources: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.compress.convert", str(sources / "m.ply"), str(tmp_path / "m.sog")]
    child = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ, timeout=300)
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    assert "result" in lines[-1] and all(0 <= line["fraction"] <= 1 for line in lines[:-1])
    assert len(lines) > 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_conversion_leaves_the_old_file_or_the_new_one(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, number: signal.Signals
) -> None:
    large = tmp_path_factory.mktemp("large") / "m.ply"  # a small model might be done before the signal comes
    write_ply(large, smooth(20_000))
    (tmp_path / "m.sog").write_bytes(b"old")
    command = [sys.executable, "-m", "services.compress.convert", str(large), str(tmp_path / "m.sog")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stderr is not None
        while "Compressing" not in child.stdout.readline():
            pass
        child.send_signal(number)
        output, errors = child.stdout.read(), child.stderr.read()
    assert child.returncode == (-number if number == signal.SIGKILL else 130)
    assert "result" not in output and not errors
    left = [path for path in tmp_path.iterdir() if number != signal.SIGKILL or path.suffix != ".part"]
    assert left == [tmp_path / "m.sog"]
    assert left[0].read_bytes() == b"old" or len(read_model(left[0])[0]) == 20_000


@pytest.mark.parametrize("target", ["set/meta.json", "levels/lod-meta.json"])
def test_a_killed_conversion_leaves_a_whole_set(sources: Path, tmp_path: Path, target: str) -> None:
    """Killed while the new set is being laid out beside the old one."""
    convert(sources / "m.splat", tmp_path / target, ConvertOptions(QUICK), Silent())
    command = [sys.executable, "-m", "services.compress.convert", str(sources / "m.ply"), str(tmp_path / target)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        while child.poll() is None and not list(tmp_path.glob(".*.part")):
            time.sleep(0.001)
        child.kill()
    model, _ = read_model(tmp_path / target)
    assert len(model) == 400 and model.sh_degree in (0, 1)
    convert(
        sources / "m.ply", tmp_path / target, ConvertOptions(QUICK), Silent()
    )  # which clears what the killed one left
    assert [path.name for path in tmp_path.iterdir()] == [Path(target).parts[0]]

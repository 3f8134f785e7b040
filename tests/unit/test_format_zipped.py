"""A zip around a model is opened, however people zip; a bundled SOG stays one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from format_cases import made

from spaceport.progress import Silent
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.formats.table import PLY, SOG, SOG_FOLDER, STREAMED_SOG, read_model
from spaceport.splats.sog.attributes.quality import STANDARD
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.writer import write_bundle
from spaceport.splats.sog.lod.writer import write_streamed

MODEL = made(60, 1, 3)


@pytest.fixture(scope="module")
def sog() -> dict[str, bytes]:
    return encode(MODEL, EncoderSettings(STANDARD), Silent()).files


def zipped(path: Path, files: dict[str, bytes], comment: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.comment = comment
        for name, data in files.items():
            bundle.writestr(name, data)
    return path


@pytest.mark.parametrize("folder", ["", "model/", "a/b c/"])
@pytest.mark.parametrize("comment", [b"", b"made by hand"])
def test_a_sog_in_a_zip(folder: str, comment: bytes, sog: dict[str, bytes], tmp_path: Path) -> None:
    files = {f"{folder}{name}": data for name, data in sog.items()} | {"__MACOSX/._meta.json": b"?", "read me.txt": b""}
    model, form = read_model(zipped(tmp_path / "m.zip", files, comment))
    assert form is (SOG if not folder and not comment else SOG_FOLDER)
    write_bundle(tmp_path / "m.sog", sog)
    np.testing.assert_array_equal(model.means, read_model(tmp_path / "m.sog")[0].means)


def test_a_streamed_one(tmp_path: Path) -> None:
    write_streamed(tmp_path / "lod", MODEL, STANDARD, Silent())
    files = {str(path.relative_to(tmp_path)): path.read_bytes() for path in (tmp_path / "lod").rglob("*.*")}
    model, form = read_model(zipped(tmp_path / "m.zip", files))
    assert form is STREAMED_SOG and len(model) == 60


def test_a_single_file_of_another_format(tmp_path: Path) -> None:
    write_ply(tmp_path / "m.ply", MODEL)
    files = {"out/m.ply": (tmp_path / "m.ply").read_bytes(), "out/cameras.json": b"[]"}
    model, form = read_model(zipped(tmp_path / "m.zip", files))
    assert form is PLY
    np.testing.assert_array_equal(model.means, MODEL.means)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.jpg": b"photo"}, "holds no model"),
        ({"a.ply": b"", "b.ply": b""}, "2 models"),
        ({"a/meta.json": b"{}", "b/meta.json": b"{}"}, "2 models"),
        ({"../meta.json": b"{}"}, "holds no model"),
        ({"a/meta.json": b"{}", "a/x.webp": bytes(1 << 20)}, "memory limit"),
    ],
)
def test_what_is_no_single_model_is_refused(
    files: dict[str, bytes], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spaceport.splats.formats.limits.BUDGET", 1 << 19)
    monkeypatch.setattr("spaceport.splats.formats.limits.GROWTH", 1)
    with pytest.raises(ValueError, match=words):
        read_model(zipped(tmp_path / "m.zip", files))
    assert not (tmp_path.parent / "meta.json").exists()

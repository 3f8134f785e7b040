"""What is fuzzed: each reader of a model format, that of COLMAP models, and that of zips, fed with arbitrary bytes.

A reader may return a model or raise a ValueError with one sentence for people. Whatever else happens is a finding. The
table of formats is the registry: a format that is added there is fuzzed from then on.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from model_cases import ColmapModel, ModelCamera, ModelImage, ModelPoint
from ply_dialects import DIALECTS
from random_models import noise
from zip_writer import FAT, UTF8, Member, unicode_path, written

from services.sfm.prior_model.validate import MIN_POINTS, read_prior_model
from spaceport.pipeline.errors import Refused
from spaceport.pipeline.uploads import photo_zip
from spaceport.progress import Silent
from spaceport.splats.formats import gltf, spz
from spaceport.splats.formats.table import (
    FORMATS,
    GLB,
    GLTF,
    PLY,
    SOG_FOLDER,
    SPZ,
    STREAMED_SOG,
    Format,
    read_model,
)
from spaceport.splats.sog.attributes.quality import STANDARD
from spaceport.splats.sog.codec.encode import EncoderSettings, encode
from spaceport.splats.sog.codec.writer import write_bundle

CORPUS = Path(__file__).parent / "corpus"
LONGEST_SENTENCE = 400

BOUND = {"min": [-9, -9, -9], "max": [9, 9, 9]}
LEVELS: dict[str, Any] = {
    "version": 1,
    "lodLevels": 2,
    "count": 18,
    "counts": [9, 9],
    "filenames": ["0_0/meta.json", "1_0/meta.json"],
    "tree": {
        "bound": BOUND,
        "children": [
            {"bound": BOUND, "lods": {str(n): {"file": n, "offset": at, "count": count} for n in (0, 1)}}
            for at, count in ((0, 5), (5, 4))
        ],
    },
}
"""A small streamed SOG over two copies of the corpus' set of 9 Gaussians."""

COLMAP = ColmapModel(
    [ModelCamera(7), ModelCamera(8, "SIMPLE_RADIAL", 320, 240, [300.0, 160.0, 120.0, 0.1])],
    [ModelImage(3, "a b.jpg", camera=7, features=[(1.5, 2.5, 1)]), ModelImage(1, "f/é.jpg", camera=8)],
    [ModelPoint(number, (float(number), number % 3, 5.0), track=[(3, 0), (1, 2)]) for number in range(1, 6)],
)

Write = Callable[[bytes, Path], Path]
"""Lays bytes of the fuzzer out below a folder, and names what a reader shall open."""
Read = Callable[[Path], None]
"""Reads that; raises AssertionError where it calls a model good that is not whole."""
Seeds = Callable[[], dict[str, bytes]]
"""Makes whole inputs to begin with, by name."""


@dataclass(frozen=True)
class Target:
    """One reader, how it gets to its bytes, and which it begins with."""

    name: str
    read: Read
    write: Write
    seeds: Seeds

    def check(self, data: bytes, folder: Path) -> str:
        """Read `data`. Returns what came of it: "a model", or the sentence of the error.

        Raises:
            AssertionError: the error is not a sentence, or the model not whole.
            Exception: whatever the reader raised that is no ValueError.
        """
        path = self.write(data, folder)
        try:
            self.read(path)
        except ValueError as error:
            sentence = str(error)
            assert 10 < len(sentence) <= LONGEST_SENTENCE and "\n" not in sentence and " " in sentence, repr(sentence)
            assert not isinstance(error, UnicodeError), repr(error)
            return sentence
        return "a model"


def gaussians(form: Format) -> Read:
    """The reader of a format."""
    assert form.read is not None
    read_model = form.read

    def read(path: Path) -> None:
        assert len({len(array) for array in read_model(path).arrays().values()}) == 1

    return read


def colmap_model(path: Path) -> None:
    """Read the COLMAP model in a folder, binary or text."""
    prior_model = read_prior_model({part.stem: part for part in path.iterdir()}, lambda: None)
    assert prior_model.images and prior_model.points >= MIN_POINTS


def unpack_zip(path: Path) -> None:
    """Inspect a zip and unpack all that it lists: nothing outside, nothing longer than it says."""
    home = path.parent / "unpacked"
    shutil.rmtree(home, ignore_errors=True)
    with path.open("rb") as file:
        try:
            contents = photo_zip.inspect(file)
        except Refused as refusal:
            raise ValueError(str(refusal)) from None
        files = [*contents.photos, *contents.extras]
        results = photo_zip.extract(file, files, home, lambda _: None)
    assert {result.path for result in results if result.path} == {path for path in home.rglob("*") if path.is_file()}
    for entry, result in zip(files, results, strict=True):
        assert result.path is None or result.path.stat().st_size == entry.size


def zips() -> dict[str, bytes]:
    """Small zips in the dialects of several programs."""
    names = {"dos": "f\\写真 ソ{}.jpg".encode("cp932"), "utf8": "写真/ü{}.jpg".encode(), "plain": b"f/a{}.jpg"}
    seeds = {}
    for number, method in enumerate((0, 8, 12, 14, 93, 95)):
        kind = sorted(names)[number % len(names)]
        raw = [names[kind].replace(b"{}", b"%d" % i) for i in range(3)]
        extra = {"dos": b"", "utf8": b"", "plain": unicode_path(raw[0], "ä/é.jpg")}[kind]
        flags, system = (UTF8 if kind == "utf8" else 0), (FAT if kind == "dos" else 3)
        members = [
            Member(name, b"photo" * 9 + name, method, flags, system, b"" if i else extra) for i, name in enumerate(raw)
        ]
        before, behind = (b"MZ" + bytes(40) if number % 2 else b""), (b"--form--" if number % 3 == 1 else b"")
        seeds[f"method-{method}"] = written(members, before=before, behind=behind)
    return seeds


def sog_files(coefficients: int) -> dict[str, bytes]:
    """A small unbundled SOG."""
    return encode(noise(9, coefficients, seed=coefficients), EncoderSettings(STANDARD), Silent()).files


def targets() -> dict[str, Target]:
    """Every reader of `FORMATS`; where bytes hide behind a checksum, once more behind that. And COLMAP's models."""
    formats = [form for form in FORMATS if form.read and form.suffix.startswith(".")]
    targets = [Target(_name(form), gaussians(form), _plain(form), partial(_written, form)) for form in formats]
    targets += [
        Target("sog-files", gaussians(SOG_FOLDER), _set_of("sog-files"), lambda: _numbered(sog_files(3))),
        Target("sog-levels", gaussians(STREAMED_SOG), _levels, lambda: {"lod-meta.json": json.dumps(LEVELS).encode()}),
        Target("model-zip", read_zipped, lambda data, folder: _laid_out(data, folder / "m.zip"), model_zips),
        Target("spz-inside", gaussians(SPZ), _gzipped, _inside_spz),
        Target("zip", unpack_zip, lambda data, folder: _laid_out(data, folder / "upload.zip"), zips),
        Target("colmap-binary", colmap_model, _set_of("colmap-binary"), lambda: _numbered(COLMAP.parts(".bin"))),
        Target("colmap-text", colmap_model, _set_of("colmap-text"), lambda: _numbered(COLMAP.parts(".txt"))),
    ]
    return {target.name: target for target in targets}


def _numbered(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a set, each behind its number in it, as `_set_of` wants them."""
    return {name: bytes([number]) + data for number, (name, data) in enumerate(sorted(files.items()))}


def _inside_spz() -> dict[str, bytes]:
    return {name: gzip.decompress(data) for name, data in _written(SPZ).items() if data[:2] == b"\x1f\x8b"}


def _written(form: Format) -> dict[str, bytes]:
    """Models of each SH degree in a format, and in each of its versions."""
    seeds: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{form.suffix}"
        for degree, coefficients in enumerate((0, 3, 8, 15)):
            if form.name == "SOG":
                write_bundle(path, sog_files(coefficients))
            elif form in (GLB, GLTF):
                gltf.write(path, noise(9, coefficients, seed=coefficients))
            elif form.write is not None:
                form.write(path, noise(9, coefficients, seed=coefficients))
            seeds[f"degree-{degree}"] = path.read_bytes()
        if form is SPZ:
            for version in (2, 3, 4):
                spz.write(path, noise(9, 3, seed=3), version)
                seeds[f"version-{version}"] = path.read_bytes()
        if form is PLY:
            seeds |= {name: DIALECTS[name].encode(noise(9, 3)) for name in ("ascii-windows", "big-endian", "mac")}
    return seeds


def model_zips() -> dict[str, bytes]:
    """Models as people zip them: a set in a folder, a file with a comment."""
    seeds = {}
    for name, files, comment in (
        ("folder", {f"my model/{file}": data for file, data in sog_files(0).items()}, b""),
        ("comment", _written(SPZ), b"made by somebody"),
    ):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.comment = comment
            for file, data in list(files.items())[: 99 if name == "folder" else 1]:
                bundle.writestr(file if "." in file else f"{file}.spz", data)
        seeds[name] = stream.getvalue()
    return seeds


def read_zipped(path: Path) -> None:
    """Read whatever model a zip holds."""
    assert len(read_model(path)[0])


def _name(form: Format) -> str:
    return form.suffix.strip(".").replace(".", "-")


def _plain(form: Format) -> Write:
    return lambda data, folder: _laid_out(data, folder / f"a{form.suffix}")


def _laid_out(data: bytes, path: Path) -> Path:
    path.write_bytes(data)
    return path


def _set_of(target: str) -> Write:
    """The first byte says which file of the corpus' set the rest takes the place of."""

    def write(data: bytes, folder: Path) -> Path:
        whole = {path.name: path.read_bytes() for path in sorted((CORPUS / target).iterdir()) if "-" not in path.name}
        changed = sorted(whole)[data[0] % len(whole)] if data else min(whole)
        for name, content in whole.items():
            (folder / name).write_bytes(data[1:] if name == changed else content[1:])
        return folder

    return write


def _levels(data: bytes, folder: Path) -> Path:
    """The bytes are lod-meta.json; the sets that it may name are those of the corpus."""
    for name in LEVELS["filenames"]:
        home = (folder / name).parent
        if not home.is_dir():
            home.mkdir()
            for source in (CORPUS / "sog-files").glob("*.*"):
                (home / source.name).write_bytes(source.read_bytes()[1:])
    path = folder / STREAMED_SOG.suffix
    path.write_bytes(data)
    return path


def _gzipped(data: bytes, folder: Path) -> Path:
    path = folder / "a.spz"
    path.write_bytes(gzip.compress(data, compresslevel=1, mtime=0))
    return path


def write_seeds() -> None:
    """Write the seeds of all targets into the corpus."""
    for target in targets().values():
        home = CORPUS / target.name
        home.mkdir(parents=True, exist_ok=True)
        for name, data in target.seeds().items():
            (home / name).write_bytes(data)
        print(target.name, sum(path.stat().st_size for path in home.iterdir()), file=sys.stderr)


if __name__ == "__main__":
    write_seeds()

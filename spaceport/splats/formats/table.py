"""The table of formats: looked up by name for writing, by the first bytes for reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spaceport.splats.formats import compressed_ply, gltf_reader, splat, spz, zipped
from spaceport.splats.formats.limits import BrokenFile, budget_of
from spaceport.splats.formats.ply import read_ply, write_ply
from spaceport.splats.formats.spz_container import GZIP
from spaceport.splats.formats.spz_container import MAGIC as SPZ_MAGIC
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.codec.reader import read_sog
from spaceport.splats.sog.lod.reader import LOD_META, read_level

META = "meta.json"


@dataclass(frozen=True)
class Format:
    """One format. `read` or `write` is None where it goes one way only, or needs more than a model."""

    name: str
    suffix: str
    read: Callable[[Path], Gaussians] | None = None
    write: Callable[[Path, Gaussians], None] | None = None
    exact: bool = False
    """Keeps every number as it is, so that nothing has to be taken out first."""
    sh_bands: bool = True
    """Has room for SH bands."""
    antialiased: bool = True
    """Has room to say that a model must be drawn antialiased."""
    origin: bool = True
    """Has room for the origin of a model that was moved near 0."""


def _read_sog(path: Path) -> Gaussians:
    return read_sog(path, budget_of(path))


def _read_finest(path: Path) -> Gaussians:
    return read_level(path, 0, budget_of(path))


COMPRESSED_PLY = Format("compressed PLY", ".compressed.ply", compressed_ply.read, compressed_ply.write)
PLY = Format("PLY", ".ply", read_ply, write_ply, exact=True)
SOG = Format("SOG", ".sog", _read_sog)
SOG_FOLDER = Format("unbundled SOG", META, _read_sog)
STREAMED_SOG = Format("streamed SOG", LOD_META, _read_finest)
SPZ = Format("SPZ", ".spz", spz.read, spz.write, origin=False)
SPLAT = Format("splat", ".splat", splat.read, splat.write, sh_bands=False, antialiased=False, origin=False)
GLTF = Format("glTF", ".gltf", gltf_reader.read, antialiased=False)
GLB = Format("GLB", ".glb", gltf_reader.read, antialiased=False)
HTML = Format("HTML page", ".html")
STRANGERS = {
    b"LASF": "a point cloud (LAS)",
    b"ASTM-E57": "a point cloud (E57)",
    b"# .PCD": "a point cloud (PCD)",
    b"\xff\xd8\xff": "a photo (JPEG)",
    b"\x89PNG": "a picture (PNG)",
    b"Kaydara FBX": "a mesh (FBX)",
    b"# Blender": "a mesh (OBJ)",
}
"""What people take for a splat, by its first bytes."""
FORMATS = (COMPRESSED_PLY, PLY, SOG, STREAMED_SOG, SOG_FOLDER, SPZ, SPLAT, GLB, GLTF, HTML)


def format_of(path: Path) -> Format:
    """The format that a file of this name is written in; a folder, or a name without suffix, is an unbundled SOG.

    Raises:
        BrokenFile: no format has such names.
    """
    name = path.name.lower()
    if path.is_dir() or not path.suffix:
        return SOG_FOLDER
    for each in FORMATS:
        if name.endswith(each.suffix):
            return each
    known = ", ".join(each.suffix for each in FORMATS)
    raise BrokenFile(f"No format has names like {path.name}; there are {known}.")


def read_model(path: Path, scratch: Path | None = None) -> tuple[Gaussians, Format]:
    """Read a model of any format, and return which it was. What the file holds counts, not its name.

    The higher SH of a large PLY lie in a file of the folder `scratch`, if there is one.

    Raises:
        ValueError: a sentence on the first rule that the file breaks.
        OSError: it cannot be read.
    """
    if _is_zip(path) and not zipped.is_bundle(path):
        with zipped.unpacked(path) as inside:
            return read_model(inside, scratch)
    form = _recognise(path)
    if form.read is None:
        raise BrokenFile(f"{form.name} is written here, but not read. Convert the file that the page was made from.")
    return read_ply(path, scratch) if form is PLY else form.read(path), form


def _is_zip(path: Path) -> bool:
    return path.is_file() and _head(path).startswith(b"PK\3\4")


def _recognise(path: Path) -> Format:
    if path.is_dir():
        return STREAMED_SOG if (path / LOD_META).is_file() else SOG_FOLDER
    if path.suffix.lower() == ".json":
        return STREAMED_SOG if path.name == LOD_META else SOG_FOLDER
    head = _head(path)
    if compressed_ply.is_compressed(head):
        return COMPRESSED_PLY
    starts = {b"ply": PLY, b"PK": SOG, SPZ_MAGIC: SPZ, GZIP: SPZ, b"glTF": GLB}
    for start, each in starts.items():
        if head.startswith(start):
            return each
    if name := next((name for start, name in STRANGERS.items() if head.startswith(start)), None):
        raise BrokenFile(f"The file is {name}, not a splat.")
    if path.suffix.lower() == ".ksplat":
        raise BrokenFile("A .ksplat cannot be read here. Open it in SuperSplat, and export it as PLY.")
    return format_of(path)  # only .splat and .gltf have no magic number


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)

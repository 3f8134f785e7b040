"""Read SOG from a bundle, a folder or its meta.json. No file is trusted: each is checked before it is unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from spaceport.splats.model import Gaussians
from spaceport.splats.sog.codec.decode import Fetch, PackedGaussians, decode_sogs, decode_v1, decode_v2
from spaceport.splats.sog.codec.errors import DAMAGED_ZIP, DAMAGED_ZIP_LIST, BrokenSog
from spaceport.splats.sog.codec.meta import LARGEST_JSON, MetaSogs, MetaV2, parse_meta

BUDGET = 1 << 30
"""Bytes of memory that reading may need by default."""
FILE_SHARE = 8  # no file, packed or not, may take more than this part of the budget
BYTES_PER_GAUSSIAN = 160  # positions and rotations pass through float64
BYTES_PER_SH_GAUSSIAN = 45 * 4 * 2 + BYTES_PER_GAUSSIAN
MAX_ENTRIES = 64
END_RECORD = 22


def read_sog(path: Path, budget: int = BUDGET) -> Gaussians:
    """Read version 2 or 1, or what `sogs` 1.0.0 wrote, bundled (.sog) or unbundled (a folder, or the meta.json in it).

    Raises:
        BrokenSog: a sentence on the first rule that the file breaks, or that it needs more memory than `budget`.
        OSError: the file cannot be read.
    """
    return _unpack(read_packed(path, budget))


def read_packed(path: Path, budget: int = BUDGET) -> PackedGaussians | Gaussians:
    """As `read_sog`, but a model of version 2 is not unpacked."""
    if path.is_dir():
        path = path / "meta.json"
    if path.suffix == ".json":
        return _decode(_from_folder(path.parent, budget // FILE_SHARE), path.name, budget)
    if path.stat().st_size > budget // FILE_SHARE:
        raise BrokenSog(f"The bundle has {path.stat().st_size} bytes; at most {budget // FILE_SHARE} are read.")
    return read_packed_bundle(path.read_bytes(), budget)


def read_files(path: Path, budget: int = BUDGET) -> dict[str, bytes] | None:
    """The files of a SOG of version 2 as they are, by name, meta.json last; None for whatever else it may be.

    `path` was read before: that its images are whole is not checked again.
    """
    try:
        if path.is_dir() or path.suffix == ".json":
            folder, name = (path, "meta.json") if path.is_dir() else (path.parent, path.name)
            return _files(_from_folder(folder, budget // FILE_SHARE), name)
        with zipfile.ZipFile(path) as bundle:
            return _files(_from_zip(bundle, budget // FILE_SHARE), "meta.json")
    except (BrokenSog, zipfile.BadZipFile):
        return None


def _files(fetch: Fetch, name: str) -> dict[str, bytes] | None:
    meta = parse_meta(fetch(name))
    if not isinstance(meta, MetaV2):
        return None
    names = [*meta.means.files, *meta.scales.files, *meta.quats.files, *meta.sh0.files]
    images = {image: fetch(image) for image in [*names, *(meta.shN.files if meta.shN else [])]}
    return images | {"meta.json": fetch(name)}


def read_bundle(data: bytes, budget: int = BUDGET) -> Gaussians:
    """Read a bundle from memory; errors as of `read_sog`."""
    return _unpack(read_packed_bundle(data, budget))


def read_packed_bundle(data: bytes, budget: int = BUDGET) -> PackedGaussians | Gaussians:
    """As `read_bundle`, but a model of version 2 is not unpacked."""
    end = data[-END_RECORD:]
    if len(end) < END_RECORD or end[:4] != b"PK\x05\x06" or end[20:22] != b"\0\0":
        raise BrokenSog(
            "The bundle does not end with a zip's end record: it is cut short, has a comment, or is no zip."
        )
    if struct.unpack_from("<I", end, 16)[0] == 0xFFFFFFFF:
        raise BrokenSog("The bundle is a Zip64 archive, which SOG viewers cannot read.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            return _decode(_from_zip(bundle, budget // FILE_SHARE), "meta.json", budget)
    except (*DAMAGED_ZIP, OSError) as error:
        raise BrokenSog("The bundle is a damaged zip archive.") from error
    except DAMAGED_ZIP_LIST as error:
        raise BrokenSog("The bundle has a damaged list of files.") from error


def _unpack(model: PackedGaussians | Gaussians) -> Gaussians:
    return model if isinstance(model, Gaussians) else model.subset(slice(None))


def _decode(fetch: Fetch, name: str, budget: int) -> PackedGaussians | Gaussians:
    meta = parse_meta(fetch(name))
    need = meta.count * (BYTES_PER_GAUSSIAN if meta.shN is None else BYTES_PER_SH_GAUSSIAN)
    if need > budget:
        raise BrokenSog(f"The file claims {meta.count} Gaussians, more than the memory limit of {budget} bytes allows.")
    match meta:
        case MetaV2():
            return decode_v2(meta, fetch, budget)
        case MetaSogs():
            return decode_sogs(meta, fetch, budget)
        case _:
            return decode_v1(meta, fetch, budget)


def _from_folder(folder: Path, largest: int) -> Fetch:
    def fetch(name: str) -> bytes:
        path = folder / name
        if not path.is_file():
            raise BrokenSog(f"{name} is missing.")
        limit = LARGEST_JSON if name.endswith(".json") else largest
        if path.stat().st_size > limit:
            raise BrokenSog(f"{name} has {path.stat().st_size} bytes; at most {limit} are read.")
        return path.read_bytes()

    return fetch


def _from_zip(bundle: zipfile.ZipFile, largest: int) -> Fetch:
    infos = bundle.infolist()
    if len(infos) > MAX_ENTRIES or len({info.filename for info in infos}) != len(infos):
        raise BrokenSog(f"The bundle holds {len(infos)} files, some twice or far more than a SOG needs.")

    def fetch(name: str) -> bytes:
        try:
            info = bundle.getinfo(name)
        except KeyError:
            raise BrokenSog(f"{name} is missing in the bundle.") from None
        limit = LARGEST_JSON if name.endswith(".json") else largest
        if info.file_size > limit:
            raise BrokenSog(f"{name} claims {info.file_size} bytes; at most {limit} are read.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BrokenSog(f"{name} is packed with a method that SOG viewers cannot read.")
        with bundle.open(info) as file:
            return file.read(limit)

    return fetch

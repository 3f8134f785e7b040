"""SOG files on disk: a folder of images, and the bundle that browsers fetch in one request."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from spaceport.files import write_atomic

BUNDLE = "model.sog"
OLDEST = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: the same model must give the same bytes tomorrow


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write each file of an encoded model into `folder`, in order: meta.json, which names the others, last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomic(folder / name, data)


def pack_bundle(files: Mapping[str, bytes]) -> bytes:
    """The bundled form of an encoded model.

    A zip as today's readers demand it: images stored, no comment, no Zip64. meta.json is deflated to half its size.

    Raises:
        zipfile.LargeZipFile: past 4 GiB.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", allowZip64=False) as bundle:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, OLDEST)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
            bundle.writestr(entry, data, compresslevel=9)
    return stream.getvalue()


def write_bundle(path: Path, files: Mapping[str, bytes]) -> int:
    """Write the bundled form at once or not at all, and return its size in bytes.

    Raises:
        zipfile.LargeZipFile: past 4 GiB.
    """
    bundle = pack_bundle(files)
    write_atomic(path, bundle)
    return len(bundle)

"""SOG files on disk: a folder of images, and the bundle that browsers fetch in one request."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from spaceport.files import replacing, write_atomic

BUNDLE = "model.sog"
OLDEST = (1980, 1, 1, 0, 0, 0)  # a zip's first possible moment: the same model must give the same bytes tomorrow


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write each file of an encoded model into `folder`, in order: meta.json, which names the others, last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomic(folder / name, data)


def write_bundle(path: Path, files: Mapping[str, bytes]) -> int:
    """Write the bundled form and return its size in bytes.

    A zip as today's readers demand it: images stored, no comment, no Zip64. meta.json is deflated to half.

    Raises:
        zipfile.LargeZipFile: past 4 GiB.
    """
    with replacing(path) as part, zipfile.ZipFile(part, "w", allowZip64=False) as bundle:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, OLDEST)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
            bundle.writestr(entry, data, compresslevel=9)
    return path.stat().st_size


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

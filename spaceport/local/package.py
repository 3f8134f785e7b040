"""The functions' deployment package: functions/ and spaceport/pipeline/, nothing else.

Their libraries come from the environment in which the embedded cloud runs.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

PARTS = ("functions", "spaceport/pipeline")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same sources give the same bytes


def package(root: Path) -> bytes:
    """Zip the functions' sources below `root`."""
    files = [root / "spaceport" / "__init__.py"]
    files += [path for part in PARTS for path in sorted((root / part).rglob("*.py"))]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.writestr(zipfile.ZipInfo(path.relative_to(root).as_posix(), EPOCH), path.read_bytes())
    return buffer.getvalue()

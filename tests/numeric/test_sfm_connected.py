"""How many photos verified matches hold together: what decides whether a second mapper can help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pycolmap", reason="structure from motion is not installed")

# In a child process, since COLMAP shares no process with Pillow.
_CONNECT = """
import sys
from pathlib import Path
import pycolmap
from services.sfm.colmap.database import num_connected

folder = Path(sys.argv[1])
scene = pycolmap.SyntheticDatasetOptions()
scene.num_rigs, scene.num_frames_per_rig, scene.num_points3D = 1, 9, 60
with pycolmap.Database.open(folder / "empty.db"):
    pass
print(num_connected(folder / "empty.db"))
with pycolmap.Database.open(folder / "database.db") as database:
    pycolmap.synthesize_dataset(scene, database)
    ids = sorted(image.image_id for image in database.read_all_images())
print(num_connected(folder / "database.db"))
with pycolmap.Database.open(folder / "database.db") as database:  # two parts, of four and three; two alone
    part = {image_id: number for number, image_id in enumerate(ids)}
    for first in ids:
        for second in ids:
            pair = part[first], part[second]
            apart = max(pair) > 6 or (min(pair) < 4) != (max(pair) < 4)
            chained = abs(pair[0] - pair[1]) == 1 and not apart
            if first < second and not chained:
                database.delete_two_view_geometry(first, second)
print(num_connected(folder / "database.db"))
"""


def test_the_largest_part_is_counted(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _CONNECT, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "9", "4"]

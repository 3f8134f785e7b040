"""What COLMAP's threads do at the same time does not decide what comes out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from spaceport.simd.cores import usable_cores

pytest.importorskip("pycolmap", reason="structure from motion is not installed")

TIMES = 8
# In a child process, since COLMAP shares no process with Pillow.
_MAP = """
import sys
from pathlib import Path
import pycolmap
from services.sfm.colmap import mapping
from services.sfm.messages import ColmapTask
from spaceport.pipeline.options import SfmOptions

pycolmap.logging.logtostderr = True
folder, times = Path(sys.argv[1]), int(sys.argv[2])
scene = pycolmap.SyntheticDatasetOptions()
scene.num_rigs, scene.num_frames_per_rig, scene.num_points3D = 1, 8, 200
pycolmap.set_random_seed(1)
with pycolmap.Database.open(folder / "database.db") as database:
    pycolmap.synthesize_dataset(scene, database)
mapping.usable_cores = lambda: 8
task = ColmapTask([], [], folder, folder, folder, SfmOptions(mapper="incremental"))
for _ in range(times):
    (model,) = mapping.map_photos(task, folder / "database.db", lambda done, total: None)
    print(model.reconstruction.num_reg_images())
"""
_MATCHING_THREADS = """
import ctypes
import pycolmap
from services.sfm.colmap.device import FAISS_BLAS_THRESHOLD, matching_threads
print(matching_threads(), ctypes.c_int.in_dll(ctypes.CDLL(pycolmap._core.__file__), FAISS_BLAS_THRESHOLD).value)
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)


def test_a_model_starts_from_the_same_pair_every_time(tmp_path: Path) -> None:
    done = run(_MAP, str(tmp_path), str(TIMES))
    assert done.stdout.split() == ["8"] * TIMES
    pairs = re.findall(r"Registering initial image pair (#\d+ and #\d+)", done.stderr)
    assert len(pairs) == TIMES
    assert len(set(pairs)) == 1


def test_matching_on_several_threads_needs_no_blas() -> None:
    threads, threshold = map(int, run(_MATCHING_THREADS).stdout.split())
    assert threads == usable_cores()
    assert threshold == 2**31 - 1

"""Structure from motion: ours beside COLMAP as it comes, on the demo survey with its truth and on real photos.

    python benchmarks/sfm.py --cases demo24 demo60 demo150 ../shared/data/brighton_beach.zip [--engines ours stock]
        [--options '{"first_octave": -1}'] [--folder DIR] [--nice N]

`stock` is pycolmap with its own defaults: 8,192 SIFT features of the doubled photo, all pairs, the incremental mapper.
Both begin with a zip's photos and end with undistorted ones. Each run is a process of its own; its CPU seconds are
those of all its children. With `--folder` surveys, results (`results.jsonl`) and undistorted workspaces stay there;
results of earlier calls appear in the table too, so that the two engines need not run in the same hour.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from spaceport.demo import load_truth, make_survey
from spaceport.demo.align import align

OURS = """
import json, sys, time
from pathlib import Path
from services.sfm.stage import run
from spaceport.pipeline.options import SfmOptions

class Clock:
    def __init__(self): self.seconds, self.phase, self.since = {}, "", time.monotonic()
    def update(self, fraction, message, **counts):
        phase, now = message.split(":")[0], time.monotonic()
        self.seconds[phase] = self.seconds.get(phase, 0) + now - self.since
        self.since = now
    def check(self): pass

clock = Clock()
run(Path(sys.argv[1]), Path(sys.argv[2]), SfmOptions(**json.loads(sys.argv[3])), clock)
report = json.loads((Path(sys.argv[2]) / "colmap/report.json").read_text())
print(json.dumps({"model": report["model"], "pairs": report["matching"]["pairs"], "seconds": clock.seconds}))
"""

STOCK = """
import json, sys, time, zipfile
from pathlib import Path
import pycolmap
source, output = Path(sys.argv[1]), Path(sys.argv[2])
seconds, since = {}, time.monotonic()
def lap(name):
    global since
    seconds[name], since = time.monotonic() - since, time.monotonic()
photos, database = output / "extracted", output / "database.db"
with zipfile.ZipFile(source / "upload.zip") as archive: archive.extractall(photos)
lap("unpacking")
pycolmap.extract_features(database, photos)
lap("features")
pycolmap.match_exhaustive(database)
lap("matching")
(output / "sparse").mkdir()
models = pycolmap.incremental_mapping(database, photos, output / "sparse")
lap("mapping")
number = max(models, key=lambda n: models[n].num_reg_images())
(output / "colmap").mkdir()
pycolmap.undistort_images(output / "colmap/dense", output / f"sparse/{number}", photos)
lap("undistortion")
model = models[number]
with pycolmap.Database.open(database) as opened: pairs = opened.num_matched_image_pairs()
print(json.dumps({"seconds": seconds, "pairs": pairs, "model": {
    "photos": model.num_reg_images(), "points": model.num_points3D(),
    "reprojection_error_px": model.compute_mean_reprojection_error()}}))
"""

READ = """
import json, sys, pycolmap
model = pycolmap.Reconstruction(sys.argv[1])
print(json.dumps({i.name: [i.projection_center().tolist(), i.cam_from_world().rotation.matrix().tolist()]
                  for i in model.images.values() if i.has_pose}))
"""


def prepare(case: str, folder: Path) -> tuple[str, Path, Path | None]:
    """Name, zip and truth of a case: `demo24` makes a survey of 24 photos, else a path of a zip."""
    match = re.fullmatch(r"demo(\d+)", case)
    if match is None:
        return Path(case).stem, Path(case), None
    survey = folder / case
    if not (survey / "truth.json").exists():
        make_survey(survey, int(match[1]))
    return case, survey / "survey.zip", survey / "truth.json"


def measure(engine: str, zipped: Path, output: Path, options: str, nice: int) -> dict[str, Any]:
    """One run in a process of its own: its model, wall and CPU seconds."""
    shutil.rmtree(output, ignore_errors=True)
    (output / "source").mkdir(parents=True)
    (output / "source/upload.zip").symlink_to(zipped.resolve())
    code = {"ours": OURS, "stock": STOCK}[engine]
    target = output if engine == "stock" else output / "job"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-c", code, str(output / "source"), str(target), options]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, preexec_fn=lambda: os.nice(nice)
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if engine == "ours":
        (target / "colmap").rename(output / "colmap")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result | {"wall": wall, "cpu": cpu}


def total_photos(zipped: Path) -> int:
    with zipfile.ZipFile(zipped) as archive:
        return sum(name.lower().endswith((".jpg", ".jpeg")) for name in archive.namelist())


def pose_errors(dense: Path, truth_path: Path) -> dict[str, float]:
    """Errors of camera centres (metres) and rotations (degrees) against the truth, after the best similarity."""
    done = subprocess.run([sys.executable, "-c", READ, str(dense)], check=True, capture_output=True)
    poses = {Path(name).name: pose for name, pose in json.loads(done.stdout).items()}
    cameras = [camera for camera in load_truth(truth_path).cameras if camera.name in poses]
    alignment = align(
        np.array([poses[camera.name][0] for camera in cameras]), np.array([camera.position for camera in cameras])
    )
    angles = []
    for camera in cameras:
        difference = np.array(poses[camera.name][1]) @ alignment.rotation.T @ camera.world_to_camera[:3, :3].T
        angles.append(np.degrees(np.arccos(np.clip((np.trace(difference) - 1) / 2, -1, 1))))
    rms = float(np.sqrt((alignment.residuals**2).mean()))
    return {
        "centre_rms_m": rms,
        "centre_max_m": float(alignment.residuals.max()),
        "turn_deg": float(np.median(angles)),
    }


def line(run: dict[str, Any], stock: dict[str, Any] | None) -> str:
    """One row; ratios are stock to this run."""
    model, errors = run["model"], run.get("errors", {})
    ratio = f"{stock['wall'] / run['wall']:6.1f} {stock['cpu'] / run['cpu']:6.1f}" if stock else f"{'-':>6} {'-':>6}"
    truth = f"{100 * errors['centre_rms_m']:7.2f} {errors['turn_deg']:7.4f}" if errors else f"{'-':>7} {'-':>7}"
    return (
        f"{run['case']:<15} {run['engine']:<28} {run['wall']:8.1f} {run['cpu']:8.1f} {ratio}  {run['pairs']:>6}"
        f" {model['photos']:>5}/{run['total']:<4} {model['points']:>7} {model['reprojection_error_px']:6.3f}  {truth}"
    )


def table(runs: list[dict[str, Any]]) -> str:
    """The newest run of each case and engine, the ones of a case together."""
    newest = {(run["case"], run["engine"]): run for run in runs}
    head = (
        f"{'case':<15} {'engine':<28} {'wall s':>8} {'cpu s':>8} {'x wall':>6} {'x cpu':>6}  {'pairs':>6}"
        f" {'registered':>10} {'points':>7} {'err px':>6}  {'rms cm':>7} {'rot °':>7}"
    )
    rows = [line(run, newest.get((case, "stock"))) for (case, _), run in sorted(newest.items())]
    return "\n".join([head, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", default=["demo24"])
    parser.add_argument("--engines", nargs="*", choices=["ours", "stock"], default=["ours", "stock"])
    parser.add_argument("--options", default="{}", help="of ours, as JSON")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--nice", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        results = folder / "results.jsonl"
        for case in arguments.cases:
            name, zipped, truth = prepare(case, folder)
            for engine in arguments.engines:
                label = engine if engine == "stock" or arguments.options == "{}" else f"{engine} {arguments.options}"
                output = folder / f"{name}-{engine}"
                run = measure(engine, zipped, output, arguments.options, arguments.nice)
                run |= {"case": name, "engine": label, "total": total_photos(zipped)}
                if truth:
                    run["errors"] = pose_errors(output / "colmap/dense/sparse", truth)
                with results.open("a") as file:
                    file.write(json.dumps(run) + "\n")
        print(table([json.loads(text) for text in results.read_text().splitlines()]))


if __name__ == "__main__":
    main()

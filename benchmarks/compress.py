"""Ours and splat-transform side by side: bytes, CPU seconds, peak memory, and likeness of the decoded model.

    python benchmarks/compress.py --timeout 600 [--cameras cameras.json] [MODEL ...]

A model is a .ply, a folder with an unbundled SOG, or made:COUNT:DEGREE.

Each encoder runs alone in a process of its own, start-up included. The peer is cut off after `--timeout` seconds of
wall clock and counted as such. Likeness is PSNR of renders of the original against renders of the decoded file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.compress import proof, views
from services.compress.encode import Plan, encode
from services.compress.quality import STANDARD
from services.compress.reader import read_sog
from services.compress.writer import write_bundle
from spaceport.pipeline.progress import Silent
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.model import Gaussians
from spaceport.splats.ply import read_ply, write_ply

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "../shared/data/models"
PEER = ROOT / ".venv/npm/node_modules/@playcanvas/splat-transform/bin/cli.mjs"
DEFAULT = [str(MODELS / "brighton.ply"), str(MODELS / "playbot"), "made:20000:3", "made:200000:0"]
POLL = 0.02


@dataclass(frozen=True)
class Run:
    """What one encoder took; `size` is None when it was cut off or failed."""

    size: int | None
    cpu: float
    wall: float
    peak_mb: float
    note: str = ""


def measured(command: list[str], result: Path, timeout: float) -> Run:
    """Run a child alone and read its own resource usage."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    note, peak = "", 0.0
    while True:
        peak = peak_mb(child.pid) or peak
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        if time.perf_counter() - start > timeout and not note:
            note = f"cut off at {timeout:.0f} s"
            os.kill(child.pid, signal.SIGKILL)
        time.sleep(POLL)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode and not note:
        note = f"failed ({child.returncode})"
    size = None if note or not result.exists() else result.stat().st_size
    wall = time.perf_counter() - start
    return Run(size, usage.ru_utime + usage.ru_stime, wall, peak, note)


def peak_mb(pid: int) -> float:
    """Peak resident memory so far. Not `ru_maxrss`: that starts at what the parent had when it forked."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peaks = [float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")]
    return peaks[0] if peaks else 0.0


def made(count: int, degree: int) -> Gaussians:
    """A rolling field: colours and shapes that vary slowly, with noise, as trained models have them."""
    random = np.random.default_rng(0)
    ground = random.uniform(-10, 10, (count, 2))
    height = np.sin(ground[:, :1]) * np.cos(0.7 * ground[:, 1:]) + random.normal(0, 0.02, (count, 1))
    waves = np.sin(ground @ random.normal(0, 1, (2, 3)))
    rest = (0, 3, 8, 15)[degree]
    styles = random.normal(0, 0.08, (40, rest, 3))[random.integers(0, 40, count)]
    return Gaussians(
        means=np.concatenate([ground, height], axis=1),
        quats=random.normal(size=(count, 4)),
        scales=random.normal(-3, 0.7, (count, 3)),
        opacities=random.normal(1, 2, count).clip(-5, 8),
        sh0=(waves + random.normal(0, 0.2, (count, 3)))[:, None],
        shN=styles * random.uniform(0, 1.5, (count, 1, 1)) + random.normal(0, 0.02, (count, rest, 3)),
    )


def load(name: str) -> Gaussians:
    if name.startswith("made:"):
        _, count, degree = name.split(":")
        return made(int(count), int(degree))
    return read_ply(Path(name)) if name.endswith(".ply") else read_sog(Path(name))


def row(label: str, ply_bytes: int, run: Run, bundle: Path, prover: proof.Prover) -> str:
    cost = f"{run.cpu:9.2f} {run.wall:8.2f} {run.peak_mb:8.0f}"
    if run.size is None:
        return f"{label:34} {'-':>11} {'-':>7} {'-':>7} {'-':>7} {cost}  {run.note}"
    seen = prover.compare(read_sog(bundle, 1 << 34))
    ratio = ply_bytes / run.size
    return f"{label:34} {run.size:11,} {ratio:6.1f}x {seen.mean:7.2f} {seen.worst:7.2f} {cost}"


def compare(name: str, cameras: list[Camera], timeout: float) -> None:
    model = load(name)
    with tempfile.TemporaryDirectory() as folder:
        ply, ours, peer = (Path(folder) / file for file in ("model.ply", "ours.sog", "peer.sog"))
        write_ply(ply, model)
        prover = proof.Prover(model, views.chosen(cameras) or views.ring(model), Silent())
        title = f"{name.rsplit('/', 1)[-1]} ({len(model):,}, SH {model.sh_degree})"
        plain = ply.stat().st_size
        run = measured([sys.executable, __file__, "--encode", str(ply), str(ours)], ours, timeout)
        print(row(f"{title} ours", plain, run, ours, prover), flush=True)
        if PEER.exists() and (node := shutil.which("node")):
            run = measured([node, str(PEER), "-g", "cpu", str(ply), str(peer)], peer, timeout)
            print(row("  splat-transform -g cpu", plain, run, peer, prover), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=DEFAULT)
    parser.add_argument("--timeout", type=float, default=600, help="seconds of wall clock for each encoder")
    parser.add_argument("--cameras", type=Path, help="cameras.json of the models; without it a ring around each")
    parser.add_argument("--encode", nargs=2, type=Path, metavar=("PLY", "SOG"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.encode:
        source, target = arguments.encode
        write_bundle(target, encode(read_ply(source), Plan(STANDARD), Silent()).files)
        return
    cameras = read_cameras(arguments.cameras) if arguments.cameras else []
    if not PEER.exists():
        print("splat-transform is not installed in .venv/npm: only ours is measured")
    print(
        f"{'model':34} {'bytes':>11} {'ratio':>7} {'mean dB':>7} {'worst':>7} {'CPU s':>9} {'wall s':>8} {'peak MB':>8}"
    )
    for name in arguments.models:
        compare(name, cameras, arguments.timeout)


if __name__ == "__main__":
    main()

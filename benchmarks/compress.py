"""Ours and splat-transform side by side: bytes, CPU seconds, peak memory, and likeness of the decoded model.

    python benchmarks/compress.py --cutoff 600 [--cameras cameras.json] [MODEL ...]

A model is a .ply, a folder with an unbundled SOG, or made:COUNT:DEGREE (see compress_models.py).

Each encoder runs alone in a process of its own, start-up included; ours is the whole stage with its search and proof.
Ours aims at the PSNR that the peer's file has, and where there is none at its preset's. The peer is cut off after
`--cutoff` seconds of wall clock and counted as such. Likeness is PSNR of renders of the original against renders of the
decoded file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from compress_models import as_ply

from services.compress import proof, views
from services.compress.reader import read_sog
from spaceport.pipeline.progress import Silent
from spaceport.splats.cameras import Camera, read_cameras, write_cameras
from spaceport.splats.ply import read_ply

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "../shared/data/models"
PEER = ROOT / ".venv/npm/node_modules/@playcanvas/splat-transform/bin/cli.mjs"
MADE = ["made:10000:3", "made:100000:3", "made:1000000:0", "made:1000000:3"]
DEFAULT = [str(MODELS / name) for name in ("brighton.ply", "biker.compressed.ply", "playbot")] + MADE
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


def row(label: str, ply_bytes: int, run: Run, bundle: Path, prover: proof.Prover) -> str:
    cost = f"{run.cpu:9.2f} {run.wall:8.2f} {run.peak_mb:8.0f}"
    if run.size is None:
        return f"{label:34} {'-':>11} {'-':>7} {'-':>7} {'-':>7} {cost}  {run.note}"
    seen = prover.compare(read_sog(bundle, 1 << 34))
    ratio = ply_bytes / run.size
    return f"{label:34} {run.size:11,} {ratio:6.1f}x {seen.mean:7.2f} {seen.worst:7.2f} {cost}"


def compare(name: str, cameras: list[Camera], timeout: float, options: dict[str, object]) -> None:
    """Run both encoders on one model; print a row for each, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        ply, ours, peer = (Path(folder) / file for file in ("gaussian/model.ply", "compressed/model.sog", "peer.sog"))
        ply.parent.mkdir()
        as_ply(name, ply, peer_command())
        model = read_ply(ply)
        prover = proof.Prover(model, views.chosen(cameras) or views.ring(model), Silent())
        if cameras:
            write_cameras(ply.parent / "cameras.json", cameras)
        title, plain = f"{name.rsplit('/', 1)[-1]} ({len(model):,}, SH {model.sh_degree})", ply.stat().st_size
        theirs = None
        if command := peer_command():
            theirs = measured([*command, "-g", "cpu", str(ply), str(peer)], peer, timeout)
            print(row(f"{title} peer", plain, theirs, peer, prover), flush=True)
            if theirs.size is not None and "target_psnr" not in options:  # as alike as theirs
                options = options | {"target_psnr": prover.compare(read_sog(peer, 1 << 34)).mean}
        (Path(folder) / "options.json").write_text(json.dumps({"compress": options}))
        ways = ["--input", folder, "--output", folder, "--options", f"{folder}/options.json"]
        mine = measured([sys.executable, "-m", "services.compress", *ways], ours, timeout)
        print(row("  ours, whole stage", plain, mine, ours, prover), flush=True)
        if theirs is not None and mine.size is not None:
            smaller = "-" if theirs.size is None else f"{mine.size / theirs.size:.3f}"
            print(f"  ours / peer: bytes {smaller}, CPU seconds {mine.cpu / theirs.cpu:.3f}", flush=True)


def peer_command() -> list[str]:
    """The command of splat-transform; empty where it is not installed."""
    node = shutil.which("node")
    return [node, str(PEER)] if node and PEER.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=DEFAULT)
    parser.add_argument("--cutoff", type=float, default=600, help="seconds of wall clock for each encoder")
    parser.add_argument("--cameras", type=Path, help="cameras.json of the models; without it a ring around each")
    parser.add_argument("--options", type=json.loads, default={}, help="CompressOptions of ours, as JSON")
    arguments = parser.parse_args()
    cameras = read_cameras(arguments.cameras) if arguments.cameras else []
    if not peer_command():
        print("splat-transform is not installed in .venv/npm: only ours is measured")
    print(
        f"{'model':34} {'bytes':>11} {'ratio':>7} {'mean dB':>7} {'worst':>7} {'CPU s':>9} {'wall s':>8} {'peak MB':>8}"
    )
    for name in arguments.models:
        compare(name, cameras, arguments.cutoff, arguments.options)


if __name__ == "__main__":
    main()

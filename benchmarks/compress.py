"""Ours and splat-transform side by side: bytes, CPU seconds, peak memory, and PSNR of the decoded model.

    python benchmarks/compress.py --cutoff 600 [--cameras cameras.json] [--keep FOLDER] [--beside CHECKOUT] [MODEL ...]

A model is a .ply, a folder with an unbundled SOG, or made:COUNT:DEGREE (see compress_models.py).

Each encoder runs alone in a process of its own, start-up included; ours is the whole stage with its search and proof.
Ours aims at the PSNR that the peer's file has, and where there is none at its preset's. The peer is cut off after
`--cutoff` CPU seconds and counted as such; with `--keep` its files and figures are kept in a folder, and not
made again by the next call. PSNR is of renders of the original against renders of the
decoded file.

The second bar is LichtFeld Studio, whose files have 0.927 of the peer's bytes (3.34 million Gaussians with SH 3). With
`--beside`, the same stage of another checkout runs in turn with ours, `--rounds` times each: of each the round with
the fewest CPU seconds counts, the one that other work on the machine has disturbed least.
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
from dataclasses import asdict, dataclass
from pathlib import Path

from compress_models import write_as_ply

from services.compress.proving.flown import choose_views
from services.compress.proving.proof import Prover
from spaceport.progress import Silent
from spaceport.splats.cameras import read_cameras, write_cameras
from spaceport.splats.formats.ply import read_ply
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.codec.reader import read_sog

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "../shared/data/models"
PEER = ROOT / ".venv/npm/node_modules/@playcanvas/splat-transform/bin/cli.mjs"
MADE = ["made:10000:3", "made:100000:3", "made:1000000:0", "made:1000000:3"]
DEFAULT = [str(MODELS / name) for name in ("brighton.ply", "biker.compressed.ply", "playbot")] + MADE
LICHTFELD = 0.927  # of the peer's bytes, by its release 0.5.3: 43.1 MB where splat-transform takes 46.5
POLL = 0.02


@dataclass(frozen=True)
class Measured:
    """What one encoder took; `size` is None when it was cut off or failed."""

    size: int | None
    cpu: float
    wall: float
    peak_mb: float
    note: str = ""


def measure(command: list[str], result: Path, cutoff: int, home: Path | None = None) -> Measured:
    """Run a child alone, in the folder `home`, and read its own resource usage. It is killed after `cutoff` CPU
    seconds."""
    start = time.perf_counter()
    limit = ["prlimit", f"--cpu={cutoff}:{cutoff + 1}"]
    child = subprocess.Popen([*limit, *command], cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    note, peak = "", 0.0
    while True:
        peak = peak_mb(child.pid) or peak
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(POLL)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        over = child.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
        note = f"cut off at {cutoff} CPU s" if over else f"failed ({child.returncode})"
    size = None if note or not result.exists() else result.stat().st_size
    wall = time.perf_counter() - start
    return Measured(size, usage.ru_utime + usage.ru_stime, wall, peak, note)


def peak_mb(pid: int) -> float:
    """Peak resident memory so far. Not `ru_maxrss`: that starts at what the parent had when it forked."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peaks = [float(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")]
    return peaks[0] if peaks else 0.0


def row(label: str, model: Gaussians, ply_bytes: int, run: Measured, bundle: Path, prover: Prover) -> str:
    cost = f"{run.cpu:9.2f} {run.wall:8.2f} {run.peak_mb:8.0f}"
    if run.size is None:
        return f"{label:34} {'-':>11} {'-':>7} {'-':>6} {'-':>7} {'-':>7} {cost}  {run.note}"
    seen = prover.compare(read_sog(bundle, 1 << 34))
    ratio, per_million = ply_bytes / run.size, run.size / len(model)
    return f"{label:34} {run.size:11,} {ratio:6.1f}x {per_million:6.2f} {seen.mean:7.2f} {seen.worst:7.2f} {cost}"


def run_peer(ply: Path, result: Path, cutoff: int) -> Measured:
    """What the peer took to make `result`; read back when an earlier call has kept it."""
    result.parent.mkdir(parents=True, exist_ok=True)
    figures = result.with_suffix(".json")
    if not figures.exists():
        run = measure([*peer_command(), "-g", "cpu", str(ply), str(result)], result, cutoff)
        figures.write_text(json.dumps(asdict(run)))
    return Measured(**json.loads(figures.read_text()))


def run_ours(folder: Path, arguments: argparse.Namespace) -> dict[str, Measured]:
    """The stage on `folder`, by checkout: of this one, and of the one beside it where one is named.

    The file of each lies below `folder`, in a folder of its name.
    """
    checkouts = {"ours": (ROOT, arguments.python)}
    if arguments.beside:
        checkouts |= {"beside": (arguments.beside, str(arguments.beside / ".venv/bin/python"))}
    best: dict[str, Measured] = {}
    for _ in range(arguments.rounds):
        for name, (home, python) in checkouts.items():
            ways = ["--input", str(folder), "--output", str(folder / name), "--options", str(folder / "options.json")]
            bundle = folder / name / "compressed/model.sog"
            run = measure([python, "-m", "services.compress", *ways], bundle, arguments.cutoff, home)
            if name not in best or run.cpu < best[name].cpu:
                best[name] = run
    return best


def compare(name: str, arguments: argparse.Namespace) -> None:
    """Run both encoders on one model; print a row for each, and their ratios."""
    cameras = read_cameras(arguments.cameras) if arguments.cameras else []
    options, keep = dict(arguments.options), arguments.keep
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ply = folder / "gaussian/model.ply"
        peer = (keep or folder) / f"{name.rsplit('/', 1)[-1].replace(':', '_')}.peer.sog"
        ply.parent.mkdir()
        write_as_ply(name, ply, peer_command())
        model = read_ply(ply)
        prover = Prover(model, choose_views(model, cameras), Silent())
        if cameras:
            write_cameras(ply.parent / "cameras.json", cameras)
        title, plain = f"{name.rsplit('/', 1)[-1]} ({len(model):,}, SH {model.sh_degree})", ply.stat().st_size
        theirs = None
        if peer_command():
            theirs = run_peer(ply, peer, arguments.cutoff)
            print(row(f"{title} peer", model, plain, theirs, peer, prover), flush=True)
            if theirs.size is not None and "target_psnr" not in options:  # the same PSNR as theirs
                options |= {"target_psnr": prover.compare(read_sog(peer, 1 << 34)).mean}
        (folder / "options.json").write_text(json.dumps({"compress": options}))
        runs = run_ours(folder, arguments)
        for checkout, run in runs.items():
            bundle = folder / checkout / "compressed/model.sog"
            print(row(f"  {checkout}, whole stage", model, plain, run, bundle, prover), flush=True)
        print_ratios(runs, theirs)


def print_ratios(runs: dict[str, Measured], theirs: Measured | None) -> None:
    """Ours by the peer, by LichtFeld, and by the checkout beside."""
    mine, beside = runs["ours"], runs.get("beside")
    if theirs is not None and mine.size is not None:
        smaller = (
            "-, by LichtFeld's -"
            if theirs.size is None
            else (f"{mine.size / theirs.size:.3f}, by LichtFeld's {mine.size / theirs.size / LICHTFELD:.3f}")
        )
        print(f"  ours / peer: bytes {smaller}, CPU seconds {mine.cpu / theirs.cpu:.3f}", flush=True)
    if beside is not None and mine.size is not None and beside.size is not None:
        print(
            f"  ours / beside: bytes {mine.size / beside.size:.4f}, CPU seconds {mine.cpu / beside.cpu:.3f}", flush=True
        )


def peer_command() -> list[str]:
    """The command of splat-transform; empty where it is not installed."""
    node = shutil.which("node")
    return [node, str(PEER)] if node and PEER.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=DEFAULT)
    parser.add_argument("--cutoff", type=int, default=600, help="CPU seconds for each encoder")
    parser.add_argument("--keep", type=Path, help="folder for the peer's files, which are not made again")
    parser.add_argument("--python", default=sys.executable, help="of an environment with only the extra `compress`")
    parser.add_argument("--cameras", type=Path, help="cameras.json of the models; without it made ones")
    parser.add_argument("--options", type=json.loads, default={"lod": "never"}, help="CompressOptions of ours, as JSON")
    parser.add_argument("--beside", type=Path, help="another checkout with a .venv, whose stage runs in turn with ours")
    parser.add_argument("--rounds", type=int, default=1, help="of ours, and of the checkout beside it")
    arguments = parser.parse_args()
    if not peer_command():
        print("splat-transform is not installed in .venv/npm: only ours is measured")
    columns = f"{'ratio':>7} {'MB/M':>6} {'mean dB':>7} {'worst':>7} {'CPU s':>9} {'wall s':>8} {'peak MB':>8}"
    print(f"{'model':34} {'bytes':>11} {columns}")
    for name in arguments.models:
        compare(name, arguments)


if __name__ == "__main__":
    main()

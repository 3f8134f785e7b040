"""`spaceport compress` with several models: the others go on when one fails, and Ctrl-C ends them all."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from test_sog_splat_transform import made
from typer.testing import CliRunner
from waiting import until

from spaceport.cli import app
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.formats.table import read_model
from spaceport.splats.model import Gaussians


def smooth(count: int) -> Gaussians:
    """A model that looks like something from the made cameras."""
    arrays = made(3, count).arrays()
    return Gaussians(**arrays | {"scales": np.full((count, 3), -1.2), "shN": arrays["shN"] * 0.3})


def test_a_broken_model_does_not_stop_the_others(tmp_path: Path) -> None:
    counts = {"a": 300, "b": 200}
    for name, count in counts.items():
        write_ply(tmp_path / f"{name}.ply", smooth(count))
    (tmp_path / "broken.ply").write_bytes(b"ply\nnonsense")
    models = [str(tmp_path / f"{name}.ply") for name in ("a", "broken", "b")]
    result = CliRunner().invoke(app, ["compress", *models, "--out", str(tmp_path / "out"), "--preset", "web"])
    assert result.exit_code == 1, result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.sog", "b.sog"}
    assert all(len(read_model(path)[0]) == counts[path.stem] for path in (tmp_path / "out").iterdir())
    lines = result.output.splitlines()
    assert {f"{models[0]}: done", f"{models[1]}: failed", f"{models[2]}: done"} < set(lines)
    assert f"{models[1]}: The header of the PLY is damaged: it does not end." in lines
    assert "1 of 3 models failed." in lines
    totals = [line.split() for line in lines if line.split()[:1] == ["all"]]
    sizes = [(tmp_path / "out" / name).stat().st_size for name in ("a.sog", "b.sog")]
    assert [int(total[1].replace(",", "")) for total in totals] == sizes
    assert sum("colour, opacity" in line for line in lines) == 2


def test_ctrl_c_ends_all_children(tmp_path: Path) -> None:
    for name in "abc":
        write_ply(tmp_path / f"{name}.ply", smooth(60_000))
    command = [sys.executable, "-m", "spaceport", "compress", *(str(tmp_path / f"{name}.ply") for name in "abc")]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = ""
    try:
        while "Compressing" not in shown:
            shown += os.read(ours, 65536).decode(errors="replace")
        alive = _alive(tmp_path)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            shown += _more(ours)
    finally:
        process.kill()
        os.close(ours)
    assert process.returncode == 130, shown
    assert "Stopped." in shown
    left = {path.name for path in tmp_path.iterdir()}
    assert {"a.ply", "b.ply", "c.ply"} <= left, shown
    assert left <= {f"{name}.{kind}" for name in "abc" for kind in ("ply", "sog")}, shown  # whole ones, if any
    assert alive
    until(lambda: not _alive(tmp_path))


def test_a_killed_child_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in "ab":
        write_ply(tmp_path / f"{name}.ply", smooth(8_000))
    command = [sys.executable, "-m", "spaceport", "compress", *(str(tmp_path / f"{name}.ply") for name in "ab")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "a.ply" not in process.stdout.readline():
            pass
        (child,) = (line for line in _alive(tmp_path) if "/a.sog" in line)
        os.kill(int(child.split()[0]), signal.SIGKILL)
        shown, complaints = process.communicate(timeout=300)
    assert process.returncode == 1 and "b.ply: done" in shown
    assert "a.ply: The work was killed" in complaints and "1 of 2 models failed." in complaints
    assert {path.name for path in tmp_path.iterdir()} == {"a.ply", "b.ply", "b.sog"}


def test_kill_9_of_the_parent_leaves_whole_files_and_no_children(tmp_path: Path) -> None:
    for name in "ab":
        write_ply(tmp_path / f"{name}.ply", smooth(20_000))
        (tmp_path / f"{name}.sog").write_bytes(b"old")
    command = [sys.executable, "-m", "spaceport", "compress", *(str(tmp_path / f"{name}.ply") for name in "ab")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        assert process.stdout is not None and process.stderr is not None
        while "Compressing" not in process.stdout.readline():
            pass
        assert _alive(tmp_path)
        process.kill()
        process.stdout.close()
        until(lambda: not _alive(tmp_path))  # else a child goes on for nobody
        complaints = process.stderr.read()
    assert not complaints
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ply", "a.sog", "b.ply", "b.sog"]
    for name in "ab":
        data = (tmp_path / f"{name}.sog").read_bytes()
        assert data == b"old" or len(read_model(tmp_path / f"{name}.sog")[0]) == 20_000


def _more(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # the other side is closed
        time.sleep(0.05)
        return ""


def _alive(folder: Path) -> list[str]:
    """Converters that work in a folder."""
    processes = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in processes.splitlines() if str(folder) in line and "-m services.compress.convert" in line]

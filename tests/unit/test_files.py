"""Files and folders that are there whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spaceport.files import replacing_folder, write_atomic

ENDLESS = """
import sys
from pathlib import Path
from spaceport.files import replacing_folder, write_atomic
number = 0
while True:
    number += 1
    with replacing_folder(Path(sys.argv[1])) as folder:
        for name in "abcdef":
            write_atomic(folder / name, str(number).encode() * 1000)
    print(number, flush=True)
"""


def put(path: Path, **contents: str) -> None:
    with replacing_folder(path) as folder:
        for name, text in contents.items():
            (folder / name).write_text(text)


def names(path: Path) -> set[str]:
    return {each.name for each in path.iterdir()}


def test_a_folder_takes_the_place_of_another_and_nothing_is_left_beside(tmp_path: Path) -> None:
    put(tmp_path / "deep/out", a="1", b="1")
    put(tmp_path / "deep/out", a="2")
    assert names(tmp_path / "deep") == {"out"} and names(tmp_path / "deep/out") == {"a"}
    assert (tmp_path / "deep/out/a").read_text() == "2"


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    put(tmp_path / "out", a="1")
    with pytest.raises(RuntimeError), replacing_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("2")
        raise RuntimeError
    assert names(tmp_path) == {"out"} and (tmp_path / "out/a").read_text() == "1"


def test_without_an_exchange_of_names_the_folder_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spaceport.files.ctypes.CDLL", lambda *_, **__: object())
    put(tmp_path / "out", a="1")
    put(tmp_path / "out", b="2")
    assert names(tmp_path) == {"out"} and names(tmp_path / "out") == {"b"}


def test_leavings_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead, alive = f".out.{int(child.stdout)}.part", f".out.{os.getppid()}.part"
    for name in (dead, alive):
        (tmp_path / name).mkdir()
    put(tmp_path / "out", a="1")
    assert names(tmp_path) == {"out", alive}


def test_killed_at_any_moment_the_folder_is_of_one_writing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen = set()
    for kill in range(12):
        child = subprocess.Popen([sys.executable, "-c", ENDLESS, str(out)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(1 + 3 * kill):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert names(out) == set("abcdef")
        texts = {(out / name).read_text() for name in "abcdef"}
        assert len(texts) == 1 and len(texts.pop()) % 1000 == 0
        seen.add((out / "a").read_text())
    write_atomic(out / "a", b"x")
    put(out, a="1")
    assert names(tmp_path) == {"out"} and len(seen) > 3

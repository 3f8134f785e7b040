"""All that may be wrong with the folder of the embedded cloud: a sentence and exit code 1, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloud_fixtures import running_cloud
from state_cases import open_to_others

from spaceport.cli import main
from spaceport.local import ministack, state
from spaceport.local.access import Access
from spaceport.local.address import ADDRESS, ENVIRONMENT, PublishedAddress, attach
from spaceport.local.errors import StateInUse, StateUnusable
from spaceport.local.state import LONGEST, NEEDED, as_state_unusable, check_room, locate, lock, prepare

NOBODY = 65534
AS_NOBODY = f"""
import os, sys
from spaceport.cli import main
from spaceport.local import daemon  # while the interpreter's own folder can be read
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
for folder in sys.argv[1:]:
    sys.argv = ["spaceport", "up", "--state", folder]
    try:
        main()
    except SystemExit as end:
        print(end.code)
"""

Up = Callable[[Path], str]


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Up]:
    """What `spaceport up` says when it cannot start. Fails if it can, or says more than a sentence."""

    def call(folder: Path) -> str:
        monkeypatch.setattr(sys, "argv", ["spaceport", "up", "--state", str(folder)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, error = capsys.readouterr()
        assert (caught.value.code, out) == (1, ""), error
        assert len(error.strip().splitlines()) == 1, error
        return error

    handler = signal.getsignal(signal.SIGTERM)
    yield call
    signal.signal(signal.SIGTERM, handler)


def a_file(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")


def a_folder(path: Path) -> None:
    (path / "x").mkdir(parents=True)


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("", a_file, "it is a file, and must be a folder"),
        ("s3", a_file, "it is a file, and must be a folder"),
        ("logs", a_file, "it is a file, and must be a folder"),
        ("work", a_file, "it is a file, and must be a folder"),
        ("lock", a_folder, "it is a folder, and must be a file"),
        ("users", a_folder, "it is a folder, and must be a file"),
        ("logs/daemon.log", a_folder, "it is a folder, and must be a file"),
    ],
)
def test_a_file_where_a_folder_must_be_and_the_reverse(
    up: Up, tmp_path: Path, name: str, make: Callable[[Path], None], sentence: str
) -> None:
    make(tmp_path / "state" / name)
    said = up(tmp_path / "state")
    assert f"{tmp_path / 'state' / name}: {sentence}" in said
    assert "--state" in said


def test_what_only_the_daemon_meets_is_said_too(up: Up, tmp_path: Path) -> None:
    a_folder(tmp_path / "state/logs/ministack.log")
    assert "logs/ministack.log: it is a folder, and must be a file" in up(tmp_path / "state")


@pytest.mark.parametrize("name", [ADDRESS, ENVIRONMENT])
def test_a_folder_where_the_address_must_be(tmp_path: Path, name: str) -> None:
    a_folder(tmp_path / name)
    with pytest.raises(StateUnusable, match=f"{name}: it is a folder"), as_state_unusable(tmp_path):
        PublishedAddress(tmp_path, Access("", "", "x"))


@pytest.mark.parametrize("folder", ["x" * 300, "/".join(["y" * 100] * 11)])
def test_a_path_that_is_too_long(tmp_path: Path, folder: str) -> None:
    with pytest.raises(StateUnusable, match=f"longer than {LONGEST} bytes|too long"):
        prepare(tmp_path / folder)


def test_links_in_a_circle_and_no_home(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StateUnusable, match="nowhere: Symlink loop"):
        locate(tmp_path / "loop")
    with pytest.raises(StateUnusable, match=r"Could not determine home directory.*--state"):
        locate(Path("~nobody-of-this-name/state"))


@pytest.mark.parametrize("name", ["with blank, ü and 'quotes\" [/b]", "new\nline", os.fsdecode(b"not \xff utf-8")])
def test_odd_characters_harm_nothing(tmp_path: Path, name: str) -> None:
    prepare(tmp_path / name)
    with lock(tmp_path / name):
        pass
    a_file(tmp_path / name / "logs2")
    shutil.rmtree(tmp_path / name / "logs")
    (tmp_path / name / "logs2").rename(tmp_path / name / "logs")
    with pytest.raises(StateUnusable) as caught:
        prepare(tmp_path / name)
    assert "\n" not in str(caught.value)
    str(caught.value).encode()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["with blank, ü and 'quotes\" [/b]", "new\nline", os.fsdecode(b"not \xff utf-8")])
def test_a_cloud_runs_in_a_folder_with_odd_characters(tmp_path: Path, name: str) -> None:
    with running_cloud(tmp_path / name) as cloud:
        bucket = cloud.deployment.bucket
        bucket.client.put_object(Bucket=bucket.name, Key="a", Body=b"x")
        script = f". ./{ENVIRONMENT} && printf %s $AWS_SECRET_ACCESS_KEY"
        shell = subprocess.run(["sh", "-c", script], cwd=tmp_path / name, capture_output=True, text=True, check=True)
        assert shell.stdout == cloud.embedded.access.secret


def test_too_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "free_bytes", lambda _: NEEDED - 1)
    with pytest.raises(StateUnusable, match=r"Only 268 MB are free on the disk of .*; 268 MB are needed"):
        prepare(tmp_path / "state")
    check_room(tmp_path / "not" / "there" / "yet", NEEDED - 1)


def test_no_free_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken:
        def __enter__(self) -> Taken:
            return self

        def __exit__(self, *_: object) -> None: ...

        def bind(self, _: object) -> None:
            raise OSError(98, "Address already in use")

    monkeypatch.setattr("spaceport.local.ministack.socket.socket", Taken)
    with pytest.raises(StateUnusable, match="no free port: Address already in use"), as_state_unusable(tmp_path):
        ministack._free_port()


STALE = json.dumps({"endpoint": "http://127.0.0.1:1", "batch_endpoint": "http://127.0.0.1:1", "secret": "x"})


@pytest.mark.parametrize("text", [STALE, "", "{", "[]", '{"endpoint": 1}', "\0" * 4096])
def test_an_address_that_is_stale_or_garbage_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ADDRESS).write_text(text)
    assert attach(tmp_path) is None


def test_a_stale_address_is_none_while_the_next_cloud_starts(tmp_path: Path) -> None:
    """The folder is locked again, but nothing listens yet at any address."""
    (tmp_path / ADDRESS).write_text(STALE)
    with lock(tmp_path):
        assert attach(tmp_path) is None
        with pytest.raises(StateInUse), lock(tmp_path):
            pass


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is mounted read-only."""
    folder = tmp_path / "read-only"
    prepare(folder)
    mounted = subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_folder(up: Up, read_only: Path) -> None:
    assert "Read-only file system" in up(read_only)
    assert "Read-only file system" in up(read_only / "new")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_another_user_and_a_parent_of_his(tmp_path: Path) -> None:
    open_to_others(tmp_path)
    (tmp_path / "theirs").mkdir(0o755)
    (tmp_path / "private").mkdir(0o700)
    folders = [str(tmp_path / name) for name in ("theirs", "theirs/new", "private/new")]
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *folders],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "numba")},
    )
    assert done.stdout == "1\n" * 3, done.stderr
    first, second, third = done.stderr.splitlines()
    assert "belongs to another user" in first
    assert "Permission denied" in second
    assert "Permission denied" in third
    assert not (tmp_path / "theirs/new").exists()

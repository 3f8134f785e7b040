"""Training on a disk that is full: the run ends as one that may be tried again, with nothing half written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest
from test_train_dataset import write_workspace

import services.train.publish
from services.train.stage import run
from spaceport.pipeline.errors import LostResource, Slug
from spaceport.pipeline.options import TrainOptions
from spaceport.progress import Silent

TWO_STEPS = TrainOptions(max_iterations=2, device="cpu", threads=1, sh_degree=0)


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("module", "name"),
    [(services.train.publish, "write_ply"), (os, "replace")],
    ids=["model", "any file"],
)
def test_a_full_disk_ends_training_as_disk_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    write_workspace(tmp_path / "colmap" / "dense", 3)
    monkeypatch.setattr(module, name, full)
    with pytest.raises(LostResource) as caught:
        run(tmp_path, tmp_path / "out", TWO_STEPS, Silent())
    assert caught.value.slug is Slug.DISK_FULL
    assert not (tmp_path / "out" / "gaussian" / "model.ply").exists()
    assert not list((tmp_path / "out" / "gaussian").glob(".*"))

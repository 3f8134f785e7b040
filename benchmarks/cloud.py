"""How quickly the embedded cloud answers: start, a refused upload, and a stop in the middle of each stage.

    python benchmarks/cloud.py [--repeats 3]

There is no peer to run beside it; the goals are in the table. What the tests only wait for, this measures: a stop is
over when the job has ended and no process of its stage is left. The survey is made, 12 photos of 512 x 384 pixels.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spaceport.cli.connect import deployment_of
from spaceport.cli.deployment import Deployment
from spaceport.demo import make_survey
from spaceport.local.children import survivors
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.jobs.state import END_STATES

GOALS: dict[str, float | None] = {
    "start": None,
    "refused upload": 5.0,
    "stop in sfm": 10.0,
    "stop in train": 10.0,
    "stop in compress": 10.0,
}
PATIENCE = 300.0
QUICK: dict[str, Any] = {
    "preset": "draft",
    "sfm": {"max_image_size": 512, "max_features": 2048},
    "train": {"max_iterations": 60, "image_size": 128, "threads": 1},
}
LONG = {
    StageName.SFM: {"sfm": {"max_image_size": 2048, "max_features": 16384, "first_octave": -1}},
    StageName.TRAIN: {"train": {"max_iterations": 100_000, "max_looks": 10_000, "plateau_stop": False}},
    StageName.COMPRESS: {},
}
"""What keeps each stage at work for long enough; compression is stopped as its process appears."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default: 3)")
    repeats = parser.parse_args().repeats
    seconds: dict[str, list[float]] = {name: [] for name in GOALS}
    with tempfile.TemporaryDirectory() as scratch:
        survey = make_survey(Path(scratch) / "survey", photos=12, width=512, height=384).zip_path.read_bytes()
        for number in range(repeats):
            with _running(Path(scratch) / f"state-{number}", seconds["start"]) as (state, cloud):
                _upload(cloud, "warms-up", b"", {})  # functions start cold
                _until(lambda: _ended(cloud, "warms-up"))
                began = time.monotonic()
                _upload(cloud, "refused", b"no zip", {})
                _until(lambda: _ended(cloud, "refused"))
                seconds["refused upload"].append(time.monotonic() - began)
                for stage in StageName:
                    seconds[f"stop in {stage.value}"].append(_stopped(cloud, state, stage, survey))
    print(f"{'':20} {'median':>8} {'worst':>8} {'goal':>8}   seconds, of {repeats}")
    for name, goal in GOALS.items():
        print(f"{name:20} {statistics.median(seconds[name]):8.1f} {max(seconds[name]):8.1f} {goal or '-':>8}")


@contextmanager
def _running(state: Path, starts: list[float]) -> Iterator[tuple[Path, Deployment]]:
    began = time.monotonic()
    with EmbeddedCloud(state) as embedded:
        starts.append(time.monotonic() - began)
        yield embedded.state, deployment_of(embedded.access)


def _stopped(cloud: Deployment, state: Path, stage: StageName, survey: bytes) -> float:
    """Seconds from the stop of a job in the middle of a stage until nothing of it is left."""
    job = f"stopped-{stage.value}"
    _upload(cloud, job, survey, QUICK | LONG[stage])
    _until(lambda: _at_work(cloud, state, job, stage))
    began = time.monotonic()
    cloud.stop(job)
    _until(lambda: _ended(cloud, job) and not survivors(state, "services."))
    return time.monotonic() - began


def _upload(cloud: Deployment, job: str, data: bytes, options: dict[str, Any]) -> None:
    metadata = {"job-id": job, "email": "pilot@example.com", "options": json.dumps(options)}
    cloud.uploads.client.put_object(Bucket=cloud.uploads.name, Key=f"uploads/{job}.zip", Body=data, Metadata=metadata)


def _ended(cloud: Deployment, job: str) -> bool:
    row = cloud.table.get(job)
    return row is not None and row.state in END_STATES


def _at_work(cloud: Deployment, state: Path, job: str, stage: StageName) -> bool:
    if stage is StageName.COMPRESS:
        return any((state / "work").glob("*/*compress"))
    row = cloud.table.get(job)
    return row is not None and row.stage is stage and bool(row.live)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:.0f} seconds")
        time.sleep(0.05)


if __name__ == "__main__":
    main()

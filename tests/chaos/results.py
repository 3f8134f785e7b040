"""Whether a job's result is right: its files are what its manifests say, its cameras true, its SOG like its model."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from botocore.exceptions import ClientError

from services.compress.proving.proof import Prover
from services.compress.proving.views import views_of_photos
from spaceport.demo.align import align
from spaceport.demo.truth import Truth
from spaceport.pipeline.contract import Artefact, StageManifest
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.storage import Bucket
from spaceport.progress import Silent
from spaceport.splats.cameras import read_cameras
from spaceport.splats.formats.table import read_model

LARGEST_ERROR = 0.005
"""Of the distance between the two farthest cameras; `tests/integration/test_demo_truth.py` asks the same of COLMAP."""
LOWEST_PSNR = 41.0
"""dB between the SOG and its model. Preset `web` aims at 42."""
_NUMBER = re.compile(r"(\d{4})\D*$")


def faults_of_result(bucket: Bucket, job_id: str, truth: Truth, photos: int) -> list[str]:
    """What is wrong with the result of a completed job, one sentence each."""
    faults: list[str] = []
    try:
        faults.extend(_faults(bucket, job_id, truth, photos))
    except (ClientError, OSError, ValueError) as error:  # something is not there, or cannot be read
        faults.append(f"{job_id}: {type(error).__name__}: {error}")
    return faults


def _faults(bucket: Bucket, job_id: str, truth: Truth, photos: int) -> Iterator[str]:
    artefacts: dict[str, Artefact] = {}
    for stored in read_manifests(bucket, job_id):
        if isinstance(stored.manifest, StageManifest):
            artefacts |= {artefact.key: artefact for artefact in stored.manifest.artefacts}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for key, artefact in artefacts.items():
            body = bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read()
            if len(body) != artefact.bytes or hashlib.sha256(body).hexdigest() != artefact.sha256:
                yield f"{key} is not what its manifest says"
            (home / key).parent.mkdir(parents=True, exist_ok=True)
            (home / key).write_bytes(body)
        job = home / "jobs" / job_id
        yield from _faults_of_cameras(job, truth, photos)
        yield from _faults_of_sog(job)


def _faults_of_cameras(job: Path, truth: Truth, photos: int) -> Iterator[str]:
    true = {int(match[1]): camera.position for camera in truth.cameras if (match := _NUMBER.search(camera.name))}
    cameras = read_cameras(job / "gaussian" / "cameras.json")
    placed = {int(match[1]): camera.position for camera in cameras if (match := _NUMBER.search(camera.name))}
    both = sorted(true.keys() & placed.keys())
    if len(both) != photos or len(cameras) != photos:
        yield f"{job.name}: {len(both)} of {photos} photos are placed, and {len(cameras) - len(both)} others"
    if len(both) < 3:
        return
    fit = align(np.array([placed[number] for number in both]), np.array([true[number] for number in both]))
    error = float(fit.residuals.max()) / truth.scene_size
    if error > LARGEST_ERROR:
        yield f"{job.name}: a camera is {100 * error:.2f} % of the survey's size from where it was"


def _faults_of_sog(job: Path) -> Iterator[str]:
    model, _ = read_model(job / "gaussian/model.ply")
    decoded, _ = read_model(job / "compressed/model.sog")
    cameras = read_cameras(job / "gaussian" / "cameras.json")
    mean = Prover(model, views_of_photos(cameras), Silent()).compare(decoded).mean
    if mean < LOWEST_PSNR:
        yield f"{job.name}: the SOG is {mean:.1f} dB from its model"

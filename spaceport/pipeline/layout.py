"""Every S3 key in one place, and what each stage reads and writes.

On disk a stage sees the same names relative to `jobs/ID/`: `colmap/dense/images/a.jpg` lies in the stage's
input folder where it lies in the bucket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from spaceport.pipeline.contract import StageName

UPLOADS = "uploads/"
JOBS = "jobs/"
MANIFEST = "manifest.json"

REQUEST = "request"
END = "end"
CHECKPOINT = "checkpoint"

_KEY = re.compile(r"^jobs/(?P<job>[a-z0-9][a-z0-9-]{2,63})/(?P<rest>.+)$")


@dataclass(frozen=True)
class StagePlace:
    """The folder of a stage's manifest, the folder of the manifest that wakes it, and what it fetches."""

    home: str
    input: str
    wants: tuple[str, ...]


PLACES: dict[StageName, StagePlace] = {
    StageName.SFM: StagePlace(home="colmap", input=REQUEST, wants=()),
    StageName.TRAIN: StagePlace(home="gaussian", input="colmap", wants=("colmap/dense/",)),
    StageName.COMPRESS: StagePlace(
        home="compressed", input="gaussian", wants=("gaussian/model.ply", "gaussian/cameras.json")
    ),
}


def job_prefix(job_id: str) -> str:
    return f"{JOBS}{job_id}/"


def manifest_key(job_id: str, folder: str) -> str:
    return f"{job_prefix(job_id)}{folder}/{MANIFEST}"


def stage_manifest_key(job_id: str, stage: StageName) -> str:
    return manifest_key(job_id, PLACES[stage].home)


def input_manifest_key(job_id: str, stage: StageName) -> str:
    return manifest_key(job_id, PLACES[stage].input)


def checkpoint_key(job_id: str, stage: StageName) -> str:
    """Where a stage's unfinished work lies for its next try. No artefact: it goes when the stage is done."""
    return f"{job_prefix(job_id)}{PLACES[stage].home}/{CHECKPOINT}"


def request_key(job_id: str) -> str:
    return manifest_key(job_id, REQUEST)


def end_key(job_id: str) -> str:
    return manifest_key(job_id, END)


def split(key: str) -> tuple[str, str]:
    """Job id and path within the job. Raises `ValueError` for a key that belongs to no job."""
    if (match := _KEY.match(key)) is None:
        raise ValueError(f"not a key of a job: {key!r}")
    return match["job"], match["rest"]


def stage_woken_by(key: str) -> tuple[str, StageName]:
    """Job and stage that a manifest wakes. Raises `ValueError` when it wakes none."""
    job_id, rest = split(key)
    for stage, place in PLACES.items():
        if rest == f"{place.input}/{MANIFEST}":
            return job_id, stage
    raise ValueError(f"no stage is woken by {key!r}")

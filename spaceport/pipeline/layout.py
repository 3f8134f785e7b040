"""Every S3 key in one place, and what each stage reads and writes.

On disk a stage sees the same names relative to `jobs/ID/`: `colmap/dense/images/a.jpg` lies in the stage's
input folder where it lies in the bucket.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from spaceport.pipeline.contract import StageName

UPLOADS = "uploads/"
JOBS = "jobs/"
MANIFEST = "manifest.json"
TENANTS = "tenants.json"
"""The operator's list of tenants, in the pipeline bucket."""
TENANT_FILES = "tenants/"
OWN = "own/"
DELETIONS = "deletions/"

REQUEST = "request"
END = "end"
CHECKPOINT = "checkpoint"
BIRTH = "birth.json"
SUBMISSION = "submission.json"
SHARES = "shares"
BIRTHS = "births/"

_KEY = re.compile(r"^jobs/(?P<job>[a-z0-9][a-z0-9-]{2,63})/(?P<rest>.+)$")


@dataclass(frozen=True)
class StageFolders:
    """The folders of a stage's own manifest and of the one that wakes it, and which artefacts it fetches."""

    output: str
    input: str
    fetched_prefixes: tuple[str, ...]
    report_prefixes: tuple[str, ...] = ()
    """Of all stages before, what a report for people needs beside their manifests: fetched if it can be."""


STAGE_FOLDERS: dict[StageName, StageFolders] = {
    StageName.SFM: StageFolders(output="colmap", input=REQUEST, fetched_prefixes=()),
    StageName.TRAIN: StageFolders(
        output="gaussian", input="colmap", fetched_prefixes=("colmap/dense/", "colmap/georeference.json")
    ),
    StageName.COMPRESS: StageFolders(
        output="compressed",
        input="gaussian",
        fetched_prefixes=(
            "gaussian/model.ply",
            "gaussian/cameras.json",
            "gaussian/georeference.json",
            "gaussian/report.json",
            "gaussian/held-out-",
        ),
        report_prefixes=("colmap/report.json", "colmap/thumbs-", "gaussian/report.json", "gaussian/preview.jpg"),
    ),
}
MANIFEST_FOLDERS = (REQUEST, *(STAGE_FOLDERS[stage].output for stage in StageName), END)
"""Of a job's manifests, in the order in which they are written."""


_PHOTOS = re.compile(r"^jobs/[^/]+/(extracted|colmap/dense)/")


def holds_photos(key: str) -> bool:
    """Whether a key is of photos, as they came or undistorted: nine tenths of a job's bytes, and seldom asked for."""
    return _PHOTOS.match(key) is not None


def job_prefix(job_id: str) -> str:
    return f"{JOBS}{job_id}/"


def manifest_key(job_id: str, folder: str) -> str:
    return f"{job_prefix(job_id)}{folder}/{MANIFEST}"


def stage_manifest_key(job_id: str, stage: StageName) -> str:
    return manifest_key(job_id, STAGE_FOLDERS[stage].output)


def input_manifest_key(job_id: str, stage: StageName) -> str:
    return manifest_key(job_id, STAGE_FOLDERS[stage].input)


def checkpoint_key(job_id: str, stage: StageName) -> str:
    """Where a stage keeps its unfinished work for the next try. Not an artefact: deleted when the stage is done."""
    return f"{job_prefix(job_id)}{STAGE_FOLDERS[stage].output}/{CHECKPOINT}"


def live_key(job_id: str, stage: StageName, name: str) -> str:
    """Where a running stage shows itself; `live.py` says how. Not an artefact."""
    return f"{job_prefix(job_id)}{STAGE_FOLDERS[stage].output}/{name}"


def birth_key(job_id: str) -> str:
    """Of the object by whose put-once write a job's id is taken, and its owner known."""
    return f"{job_prefix(job_id)}{BIRTH}"


def submission_key(job_id: str) -> str:
    """Of what the owner of an upload in parts wants of its job."""
    return f"{job_prefix(job_id)}{SUBMISSION}"


def deletion_key(job_id: str) -> str:
    """Of the request to have a job deleted."""
    return f"{DELETIONS}{job_id}.json"


def shares_prefix(job_id: str) -> str:
    """Below which a job's shares are."""
    return f"{job_prefix(job_id)}{SHARES}/"


def share_key(job_id: str, digest: str) -> str:
    """Of a share. `digest`: the SHA-256 of its secret in hex."""
    return f"{shares_prefix(job_id)}{digest}.json"


def addresses_prefix(tenant: str) -> str:
    """Below which the addresses are that a tenant had confirmed, or wants to."""
    return f"{TENANT_FILES}{tenant}/addresses/"


def address_key(tenant: str, digest: str) -> str:
    """Of what is known of an address of a tenant. `digest`: its SHA-256 in hex."""
    return f"{addresses_prefix(tenant)}{digest}.json"


def own_address_key(tenant: str, digest: str, owner: str) -> str:
    """Of a person's own address. `owner`: whose jobs' mails may go there, as SHA-256 in hex."""
    return f"{own_addresses_prefix(tenant, digest)}{owner}.json"


def own_addresses_prefix(tenant: str, digest: str) -> str:
    """Below which an address is as the own one of everybody whose it is."""
    return f"{addresses_prefix(tenant)}{OWN}{digest}."


def birth_of_source_key(source: str) -> str:
    """Of the birth once more, by what the job was born for."""
    return f"{BIRTHS}{hashlib.sha256(source.encode()).hexdigest()}.json"


def request_key(job_id: str) -> str:
    return manifest_key(job_id, REQUEST)


def end_key(job_id: str) -> str:
    return manifest_key(job_id, END)


def split_key(key: str) -> tuple[str, str]:
    """Job id and path within the job. Raises `ValueError` for a key that belongs to no job."""
    match = _KEY.match(key)
    if match is None:
        raise ValueError(f"not a key of a job: {key!r}")
    return match["job"], match["rest"]


def stage_for_manifest(key: str) -> tuple[str, StageName]:
    """Job and stage that a manifest wakes. Raises `ValueError` when it wakes none."""
    job_id, rest = split_key(key)
    for stage, folders in STAGE_FOLDERS.items():
        if rest == f"{folders.input}/{MANIFEST}":
            return job_id, stage
    raise ValueError(f"no stage is woken by {key!r}")

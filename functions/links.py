"""Presigned links to what a job made: for mails and for the page."""

from __future__ import annotations

import re
from collections.abc import Iterable

import boto3
from pydantic import BaseModel

from functions.clients import bucket, s3, table
from spaceport.pipeline.contract import AnyManifest, Artefact, StageManifest
from spaceport.pipeline.layout import job_prefix, split_key

DAY = 24 * 3600
MAX_SECONDS = 7 * DAY
"""S3's own limit for a presigned link."""
SESSION_SECONDS = 12 * 3600
"""A link signed by a role expires with the role's session: in Lambda after twelve hours at most."""

MODELS: dict[str, str] = {
    "compressed/model.sog": "compressed model (SOG)",
    "gaussian/model.ply": "full model (PLY)",
}
"""End of the key and label, the most wanted first."""
FLIGHT: dict[str, str] = {"compressed/flight.mp4": "flight through the model"}
REPORT_PAGE: dict[str, str] = {"compressed/report.html": "report as one page"}
MAILED = MODELS | FLIGHT | REPORT_PAGE
"""What the mail of a job's end links to."""
POSTER = "compressed/poster.jpg"
PICTURES: dict[str, str] = {
    POSTER: "picture of the model",
    **FLIGHT,
    "compressed/preview.jpg": "preview of the compressed model",
    "gaussian/preview.jpg": "preview of the full model",
}
FILES: dict[str, str] = (
    MODELS
    | PICTURES
    | REPORT_PAGE
    | {
        "colmap/report.json": "report of structure from motion",
        "gaussian/report.json": "report of training",
        "compressed/report.json": "report of compression",
    }
)
CAMERAS = "gaussian/cameras.json"
REPORT_PICTURES = ("gaussian/preview.jpg", "compressed/preview.jpg")
REPORT_FILES = ("colmap/report.json", "gaussian/report.json", "compressed/report.json", CAMERAS, *REPORT_PICTURES)
"""What the page's report is made from, beside the sheets of small pictures."""
THUMBS = "colmap/thumbs-"
MAX_THUMBS = 200
"""Sheets whose addresses are in an answer: of 20,000 photos."""
_REPORT_FILE = re.compile("|".join([*map(re.escape, REPORT_FILES), rf"{THUMBS}[0-9]{{1,3}}\.webp"]))


class Link(BaseModel):
    """A file that can be downloaded without credentials for a while."""

    file: str
    label: str
    url: str
    bytes: int


def link_seconds() -> int:
    """How long a link signed here can work at most."""
    credentials = boto3.Session().get_credentials()
    return SESSION_SECONDS if credentials and credentials.token else MAX_SECONDS


def links(
    manifests: Iterable[AnyManifest], name: str, files: dict[str, str] = MODELS, seconds: int | None = None
) -> list[Link]:
    """Links to those `files` that the manifests list. They work for `seconds`, or as long as they can."""
    artefacts = [
        artefact
        for each in manifests
        if isinstance(each, StageManifest)
        for artefact in artefacts_of_tenant(each, tuple(f"/{ending}" for ending in files))
    ]
    return [
        Link(
            file=ending, label=label, url=presigned(artefact, seconds, _file_name(artefact, name)), bytes=artefact.bytes
        )
        for ending, label in files.items()
        for artefact in artefacts
        if artefact.key.endswith(f"/{ending}")
    ]


def report_addresses(manifests: Iterable[AnyManifest], seconds: int | None = None) -> dict[str, str]:
    """Where the page reads what its report is made from, by the path below the job."""
    files = {
        path: artefact
        for each in manifests
        if isinstance(each, StageManifest)
        for artefact in artefacts_of_tenant(each, (".json", ".jpg", ".webp"))
        if _REPORT_FILE.fullmatch(path := split_key(artefact.key)[1])
    }
    thumbs = [path for path in files if path.startswith(THUMBS)]
    too_many = set(sorted(thumbs, key=lambda path: (len(path), path))[MAX_THUMBS:])
    return {path: presigned(artefact, seconds) for path, artefact in files.items() if path not in too_many}


def artefacts_of_tenant(manifest: StageManifest, endings: tuple[str, ...] = ("",)) -> list[Artefact]:
    """The artefacts of a manifest whose keys end so; a continued job's may lie below another job of its tenant."""
    own = job_prefix(manifest.job_id)
    artefacts = [artefact for artefact in manifest.artefacts if artefact.key.endswith(endings)]
    others = {split_key(artefact.key)[0] for artefact in artefacts if not artefact.key.startswith(own)}
    trusted = {manifest.job_id, *(job_id for job_id in others if _has_tenant(job_id, manifest.request.tenant))}
    return [artefact for artefact in artefacts if split_key(artefact.key)[0] in trusted]


def _has_tenant(job_id: str, tenant: str) -> bool:
    row = table().get(job_id)
    return row is not None and row.tenant == tenant


def presigned(artefact: Artefact, seconds: int | None = None, file: str | None = None) -> str:
    """An address from which an object can be read, or, with the name of a `file`, saved under it."""
    params = {"Bucket": bucket().name, "Key": artefact.key}
    if file:
        params["ResponseContentDisposition"] = f'attachment; filename="{file}"'
    return s3().generate_presigned_url(
        "get_object", Params=params, ExpiresIn=min(seconds or MAX_SECONDS, link_seconds())
    )


def _file_name(artefact: Artefact, name: str) -> str:
    stem, _, kind = artefact.key.rpartition("/")[2].rpartition(".")
    return f"{file_name(name)}.{kind}" if stem == "model" else f"{file_name(name)}-{stem}.{kind}"


def file_name(name: str) -> str:
    """A name that is safe in a header and on any disk: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:80] or "model"

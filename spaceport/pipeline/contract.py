"""What the parts exchange: manifests in the bucket, whose creation is the event that wakes the next part.

A manifest is the commit of a stage: written last, once, never changed. The JSON Schemas under `events/` are
generated from these models (`python -m spaceport.pipeline.reports.schemas events`) and a test keeps them equal.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from spaceport.pipeline.errors import Slug
from spaceport.pipeline.options import JobOptions

SCHEMA_VERSION: Final = 1

JOB_ID_PATTERN = "^[a-z0-9][a-z0-9-]{2,63}$"
JobId = Annotated[str, Field(pattern=JOB_ID_PATTERN)]
TENANT_PATTERN = "^[a-z0-9][a-z0-9-]{1,31}$"
TenantName = Annotated[str, Field(pattern=TENANT_PATTERN)]
DEFAULT_TENANT: Final = "default"
"""Of everyone who is in no other, so of all where there is only one team."""
Text = Annotated[str, Field(max_length=1000)]
Figure = int | Annotated[float, Field(allow_inf_nan=False)] | str


class StageName(StrEnum):
    """The three services, in the order in which the data passes them."""

    SFM = "sfm"
    TRAIN = "train"
    COMPRESS = "compress"


TITLES: dict[StageName, str] = {
    StageName.SFM: "Structure from motion",
    StageName.TRAIN: "Training",
    StageName.COMPRESS: "Compression",
}


class JobState(StrEnum):
    """The state of a job. `jobs/state.py` has the order and the transitions."""

    RECEIVED = "RECEIVED"
    SFM = "SFM"
    TRAINING = "TRAINING"
    COMPRESSING = "COMPRESSING"
    COMPLETED = "COMPLETED"
    COMPLETED_DEGRADED = "COMPLETED_DEGRADED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    REJECTED = "REJECTED"


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="ignore", frozen=True
    )  # a newer writer may add fields that this reader does not know


class Failure(_Model):
    """Why something failed: the slug for machines, the sentence for people."""

    slug: Slug
    sentence: Text


class Artefact(_Model):
    """One object in the bucket. `sha256` is absent only for objects that this pipeline did not write."""

    key: Annotated[str, Field(min_length=1, max_length=1024)]
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Upload(_Model):
    """The zip as it was uploaded; version and etag pin the very bytes that were accepted."""

    bucket: str
    key: str
    etag: str
    bytes: Annotated[int, Field(ge=0)]
    version_id: str | None = None


class Request(_Model):
    """What the user asked for. Every manifest of a job carries it, so each stage needs only its own input."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    email: Annotated[str, Field(max_length=254)] | None = None
    tenant: TenantName = DEFAULT_TENANT
    owner: Annotated[str, Field(max_length=254)] | None = None
    """The id of the API key with which it was asked for; None where it was the operator."""
    options: JobOptions = JobOptions()
    upload: Upload | None = None
    received_at: datetime
    continues: JobId | None = None
    """The job whose finished stages this one builds on, when it did not start from an upload."""


class Birth(_Model):
    """`jobs/ID/birth.json`: the job's id is taken. Whoever writes it first has it; it wakes nothing."""

    schema_version: Literal[1] = SCHEMA_VERSION
    job_id: JobId
    tenant: TenantName = DEFAULT_TENANT
    owner: Annotated[str, Field(max_length=254)] | None = None
    source: Annotated[str, Field(max_length=2400)]
    """What it was born for: the same source asking again means the same job."""
    created_at: datetime


class InputRef(_Model):
    """The manifest that woke a stage."""

    key: str
    etag: str


class RequestManifest(_Model):
    """`jobs/ID/request/manifest.json`: a job was accepted. Wakes sfm."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["request"] = "request"
    job_id: JobId
    created_at: datetime
    request: Request
    photos: int = 0


class Outcome(_Model):
    """What a stage's core returns: only what it made and measured."""

    message: Text
    counts: dict[str, Figure] = {}
    """What was made: photos, registered, points, gaussians, iterations, ply_bytes, sog_bytes…"""
    quality: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    """What was measured: reprojection_error_px, psnr_held_out, psnr_train, sog_psnr… (dB, pixels or metres)."""
    device: str = "cpu"
    degraded: Failure | None = None
    """Set when the stage failed but the result of the stage before it is still worth delivering."""


class StageManifest(_Model):
    """`jobs/ID/{colmap,gaussian,compressed}/manifest.json`: a stage is done. Wakes the next."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["stage"] = "stage"
    job_id: JobId
    stage: StageName
    created_at: datetime
    request: Request
    input: InputRef | None
    artefacts: list[Artefact]
    outcome: Outcome
    code_version: str
    instance_type: str
    seconds: Annotated[float, Field(ge=0)]
    """Of all tries; of a killed one up to its last lease renewal, of which there is one at least every 30 seconds."""
    usd: Annotated[float, Field(ge=0)]
    """What these seconds cost on the machine of the last try."""


class EndManifest(_Model):
    """`jobs/ID/end/manifest.json`: the job is over for good. Whoever writes it first decides how. Wakes notify."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: Literal["end"] = "end"
    job_id: JobId
    created_at: datetime
    state: JobState
    request: Request
    stage: StageName | None = None
    """The stage that failed or was stopped, if any had begun."""
    failure: Failure | None = None
    message: Text


AnyManifest = RequestManifest | StageManifest | EndManifest
_MANIFEST: Final[TypeAdapter[AnyManifest]] = TypeAdapter(Annotated[AnyManifest, Field(discriminator="kind")])


class _Version(BaseModel):
    schema_version: int


def parse_manifest(raw: bytes | str) -> AnyManifest:
    """Read any manifest. Raises `pydantic.ValidationError` (a `ValueError`) when it is none."""
    return _MANIFEST.validate_json(raw)


def why_unreadable(raw: bytes) -> str:
    """What is wrong with bytes that `parse_manifest` refuses, to follow "it" in a sentence."""
    if not raw.strip():
        return "is empty"
    try:
        version = _Version.model_validate_json(raw).schema_version
    except ValidationError:
        return "is cut off or no manifest at all"
    newer = f"is of schema version {version}; this version of Spaceport reads {SCHEMA_VERSION}"
    return newer if version > SCHEMA_VERSION else "does not have the fields of a manifest"


def now() -> datetime:
    """The time that manifests and rows carry: UTC, whole milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

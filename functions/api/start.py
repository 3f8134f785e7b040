"""`POST /start-job`: its body, with our fields or the original system's flat ones, and the job that it starts."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from functions.api.access import job_to_handle
from functions.api.errors import Forbidden
from functions.clients import bucket, table, tenants, uploads
from spaceport.pipeline import layout
from spaceport.pipeline.contract import AnyManifest, JobId, StageName
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.accept import accept_upload, continue_job
from spaceport.pipeline.jobs.submission import Submission
from spaceport.pipeline.options import resolve
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Caller
from spaceport.pipeline.text import visible

STEPS: dict[str, StageName] = {
    "sfm": StageName.SFM,
    "3dgs": StageName.TRAIN,
    "train": StageName.TRAIN,
    "compression": StageName.COMPRESS,
    "compress": StageName.COMPRESS,
}
# s3://B/K, https://B.s3.REGION.amazonaws.com/K and https://s3.REGION.amazonaws.com/B/K, as consoles and tools show them
_URLS = (
    re.compile(r"s3://(?P<bucket>[a-z0-9.-]{3,63})/(?P<key>.+)"),
    re.compile(r"https://(?P<bucket>[a-z0-9.-]{3,63})\.s3[.-][a-z0-9.-]*amazonaws\.com/(?P<key>[^?#]+)"),
    re.compile(r"https://s3[.-][a-z0-9.-]*amazonaws\.com/(?P<bucket>[a-z0-9.-]{3,63})/(?P<key>[^?#]+)"),
)

Url = Annotated[str, Field(max_length=2048)]


class StartJob(BaseModel):
    """The body. Fields that are not named here are options, nested or flat; `resolve` validates them."""

    model_config = ConfigDict(extra="allow")

    job_id: JobId | None = Field(None, validation_alias=AliasChoices("jobId", "job_id"))
    name: str | None = Field(None, validation_alias=AliasChoices("jobName", "name"), max_length=200)
    email: str | None = Field(None, max_length=254)
    upload: Url | None = Field(None, validation_alias=AliasChoices("s3Url", "inputS3Uri"))
    step: str = Field("sfm", validation_alias=AliasChoices("pipelineStep", "step"), max_length=20)
    colmap: Url | None = Field(None, validation_alias=AliasChoices("colmapOutputS3Uri", "colmap"))
    gaussian: Url | None = Field(None, validation_alias=AliasChoices("gaussianOutputS3Uri", "gaussian"))
    continues: JobId | None = None
    """A job whose finished stages to build on, instead of one of the addresses."""
    options: dict[str, Any] = {}

    def subject(self) -> str:
        """What the job begins from, for the audit log."""
        return visible(self.continues or self.upload or self.colmap or self.gaussian or "nothing")

    def submission(self, caller: Caller) -> Submission:
        """The body as `spaceport.pipeline.jobs.accept` takes it."""
        options = {**(self.model_extra or {}), **self.options}
        return Submission(name=self.name, email=self.email, owner=caller.key, options=options, job_id=self.job_id)


def start(body: StartJob, caller: Caller) -> AnyManifest:
    """Begin the job. The same body twice is one job, except when it builds on another job and names no id.

    Raises:
        Refused: the body is invalid, or names a bucket that is not ours.
        UnknownJob: the job to build on does not exist for the caller, or has not got that far.
        Forbidden: the job to build on was begun by another key; or a person names an upload, which may be another's.
        Conflict: another job has the id in the body, or the upload has its job already, with other options.
    """
    stage = STEPS.get(body.step)
    if stage is None:
        raise Refused(Slug.BAD_OPTIONS, detail=f"`pipelineStep` must be one of {', '.join(STEPS)}")
    source = body.continues or _source_job(body, stage)
    if source is not None:
        job_to_handle(caller, source)
        return continue_job(bucket(), table(), source, stage, body.submission(caller), tenants())
    if not caller.sees_all:
        raise Forbidden("The uploads of a team are for its API keys and its admins. Upload the photos: POST /uploads.")
    key = _key_in(uploads(), body.upload, "s3Url")
    if not key.startswith(layout.UPLOADS):
        raise Refused(Slug.BAD_OPTIONS, detail=f"`s3Url` must name a zip below {layout.UPLOADS}")
    submission = body.submission(caller)
    resolve(submission.options)  # a mistake in a call must not reject the upload for good
    if tenants().of_upload(key) != caller.tenant:
        uploads().head(key)  # takes as long as for an upload that is not there, and says the same
        raise Refused(Slug.UPLOAD_MISSING, name=key)
    return accept_upload(bucket(), table(), uploads(), key, caller.tenant, submission, tenants=tenants())


def _source_job(body: StartJob, stage: StageName) -> str | None:
    """The job whose output an address names, for a start at a later step."""
    if stage is StageName.SFM:
        return None
    field, address = {
        StageName.TRAIN: ("colmapOutputS3Uri", body.colmap),
        StageName.COMPRESS: ("gaussianOutputS3Uri", body.gaussian),
    }[stage]
    key = _key_in(bucket(), address, field)
    folder = layout.STAGE_FOLDERS[stage].input
    try:
        job_id, rest = layout.split_key(key)
    except ValueError:
        job_id, rest = "", ""
    if not job_id or rest.rstrip("/").split("/")[0] != folder:
        raise Refused(Slug.BAD_OPTIONS, detail=f"`{field}` must name s3://{bucket().name}/jobs/ID/{folder}/")
    return job_id


def _key_in(bucket: Bucket, address: str | None, field: str) -> str:
    """The key of an address in a bucket of ours. Raises `Refused` for anything else."""
    match = next(filter(None, (pattern.fullmatch(address or "") for pattern in _URLS)), None)
    if match is None or match["bucket"] != bucket.name:
        raise Refused(Slug.BAD_OPTIONS, detail=f"`{field}` must be an address in s3://{bucket.name}/")
    return match["key"] if (address or "").startswith("s3://") else unquote(match["key"])

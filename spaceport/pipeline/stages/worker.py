"""One stage on one job in the cloud: claim, fetch, work with heartbeats, publish, manifest.

Killed at any point, nothing is lost or done twice: artefacts without a manifest are invisible, the manifest is put
once, and the claim falls to the next try when its lease ends.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from spaceport import __version__
from spaceport.pipeline import layout
from spaceport.pipeline.contract import (
    TITLES,
    AnyManifest,
    Artefact,
    InputRef,
    Outcome,
    RequestManifest,
    StageManifest,
    StageName,
    Upload,
    now,
)
from spaceport.pipeline.errors import (
    Interrupted,
    LostClaim,
    LostResource,
    Refused,
    Slug,
    SpaceportError,
    Stopped,
)
from spaceport.pipeline.jobs.ending import fail_job, failure_of, read_end
from spaceport.pipeline.jobs.table import Claim, JobTable
from spaceport.pipeline.pricing import cost_usd, instance_type
from spaceport.pipeline.stages.checkpoint import CheckpointKeeper
from spaceport.pipeline.stages.heartbeat import Heartbeat, Holding
from spaceport.pipeline.stages.limits import machine_limits
from spaceport.pipeline.stages.stage import DONE, FAILED, REFUSED, RETRY, Stage
from spaceport.pipeline.storage import CHUNK, Bucket, Stored
from spaceport.progress import Progress

log = logging.getLogger(__name__)


def work_woken_by(stage: Stage, bucket: str, key: str) -> int:
    """Work on the job whose manifest `key` woke this process of AWS Batch; returns its exit code."""
    job_id, woken = layout.stage_woken_by(key)
    if woken is not stage.name:
        raise ValueError(f"{key} wakes {woken}, not {stage.name}")
    holding = Holding(
        bucket=Bucket(bucket),
        table=JobTable(os.environ["SPACEPORT_TABLE"]),
        job_id=job_id,
        stage=stage.name,
        holder=os.environ["AWS_BATCH_JOB_ID"],
    )
    attempt = int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))
    scratch = Path(os.environ.get("SPACEPORT_WORK") or tempfile.gettempdir())
    return work(stage, holding, key, attempt, scratch)


def work(stage: Stage, holding: Holding, key: str, attempt: int, scratch: Path) -> int:
    """Do `stage` for the manifest at `key`. Returns the exit code that tells Batch what to do next."""
    stored = holding.bucket.read_manifest(key)
    if stored is None or not _needed(stage, holding, stored.manifest):
        log.info("nothing to do for %s", key)
        return DONE
    claim = holding.table.claim(holding.job_id, stage.name, stored.etag, holding.holder, attempt)
    if claim is not Claim.GRANTED:
        log.info("%s of %s is %s: leaving it", stage.name, holding.job_id, claim.value)
        return DONE
    holding = replace(holding, earlier=holding.table.stages(holding.job_id)[stage.name].spent)
    folder = scratch / f"{holding.job_id}-{stage.name}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return _guarded(stage, holding, stored, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _needed(stage: Stage, holding: Holding, manifest: AnyManifest) -> bool:
    if stage.name is StageName.COMPRESS and not manifest.request.options.compress_enabled:
        return False
    if holding.bucket.exists(layout.stage_manifest_key(holding.job_id, stage.name)):
        return False
    return read_end(holding.bucket, holding.job_id) is None


def _guarded(stage: Stage, holding: Holding, stored: Stored, folder: Path) -> int:
    """Run, and turn every way to end into an exit code and what the table must know."""
    try:
        _run(stage, holding, stored, folder)
    except (Stopped, LostClaim) as end:
        log.info("%s of %s ended early: %s", stage.name, holding.job_id, type(end).__name__)
        _release(holding, None)
        return DONE
    except Interrupted:
        log.info("the machine goes away: %s of %s will be tried again", stage.name, holding.job_id)
        _release(holding, None)
        return RETRY
    except LostResource as error:
        log.warning("%s", error)
        _release(holding, error)
        return RETRY
    except SpaceportError as error:
        log.warning("%s", error)
        _release(holding, error)
        fail_job(holding.bucket, holding.table, holding.job_id, stage.name, failure_of(error))
        return REFUSED
    except Exception:
        log.exception("%s of %s failed", stage.name, holding.job_id)
        _release(holding, SpaceportError(Slug.INTERNAL, stage=TITLES[stage.name]))
        return FAILED
    return DONE


def _release(holding: Holding, error: SpaceportError | None) -> None:
    failure = failure_of(error) if error else None
    holding.table.release(holding.job_id, holding.stage, holding.holder, holding.spent(), failure)


def _run(stage: Stage, holding: Holding, stored: Stored, folder: Path) -> None:
    manifest = stored.manifest
    source, output = folder / "input", folder / "output"
    output.mkdir(parents=True)
    keeper = CheckpointKeeper(holding, stored.etag, output / stage.checkpoint if stage.checkpoint else None, folder)
    with Heartbeat(holding) as progress, keeper, machine_limits(TITLES[stage.name]):
        progress.update(0.0, "Fetching the input")
        _fetch(stage, holding, manifest, source, progress)
        keeper.fetch()
        outcome = stage.run(source, output, stage.options(manifest.request.options), progress)
        prefix = layout.job_prefix(holding.job_id)
        artefacts = holding.bucket.publish_folder(output, prefix, progress.check, leave_out=keeper.path)
        _commit(holding, stored, outcome, artefacts)


def _commit(holding: Holding, stored: Stored, outcome: Outcome, artefacts: list[Artefact]) -> None:
    """Write the manifest, unless the job was ended meanwhile. From here on the stage is done, whatever happens."""
    if read_end(holding.bucket, holding.job_id):
        raise Stopped
    instance, seconds = instance_type(), holding.spent()
    holding.bucket.put_manifest(
        layout.stage_manifest_key(holding.job_id, holding.stage),
        StageManifest(
            job_id=holding.job_id,
            stage=holding.stage,
            created_at=now(),
            request=stored.manifest.request,
            input=InputRef(key=stored.key, etag=stored.etag),
            artefacts=artefacts,
            outcome=outcome,
            code_version=code_version(),
            instance_type=instance,
            seconds=round(seconds, 3),
            usd=cost_usd(instance, seconds),
        ),
    )
    holding.table.finish(holding.job_id, holding.stage, holding.holder)


def _fetch(stage: Stage, holding: Holding, manifest: AnyManifest, source: Path, progress: Progress) -> None:
    source.mkdir(parents=True)
    if isinstance(manifest, RequestManifest):
        if manifest.request.upload is None:
            raise Refused(Slug.UPLOAD_MISSING, name=holding.job_id)
        _fetch_upload(holding, manifest.request.upload, source / "upload.zip", progress)
    elif isinstance(manifest, StageManifest):
        wanted = {source / path: artefact for path, artefact in _wanted(stage, manifest)}
        holding.bucket.fetch_all(wanted, progress.check)


def _wanted(stage: Stage, manifest: StageManifest) -> list[tuple[PurePosixPath, Artefact]]:
    """Where each artefact that the stage wants goes below its input folder: as it lies below its job."""
    found = []
    for artefact in manifest.artefacts:
        path = PurePosixPath(layout.split(artefact.key)[1])
        if ".." in path.parts or path.is_absolute():
            raise Refused(Slug.INPUT_MISSING, stage=TITLES[stage.name], name=artefact.key)
        if str(path).startswith(layout.PLACES[stage.name].wants):
            found.append((path, artefact))
    return found


def _fetch_upload(holding: Holding, upload: Upload, path: Path, progress: Progress) -> None:
    """The zip that was accepted, or none: the etag pins it."""
    version: dict[str, Any] = {"VersionId": upload.version_id} if upload.version_id else {}
    try:
        answer = holding.bucket.client.get_object(
            Bucket=upload.bucket, Key=upload.key, IfMatch=f'"{upload.etag}"', **version
        )
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {404, 412}:
            raise Refused(Slug.UPLOAD_MISSING, name=upload.key) from error
        raise
    with path.open("wb") as file:
        for chunk in answer["Body"].iter_chunks(CHUNK):
            progress.check()
            file.write(chunk)


def code_version() -> str:
    """The version, and the commit when the image was built with one."""
    commit = os.environ.get("SPACEPORT_COMMIT")
    return f"{__version__}+{commit[:12]}" if commit else __version__

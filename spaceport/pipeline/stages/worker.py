"""One stage of one job in the cloud: take the lease, fetch, work with heartbeats, publish, write the manifest.

Killed at any point, nothing is lost or done twice: artefacts without a manifest are invisible, the manifest is written
once, and the next try gets the lease when this one expires.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

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
    LostLease,
    LostResource,
    Refused,
    Slug,
    SpaceportError,
    Stopped,
)
from spaceport.pipeline.jobs.ending import fail_job, failure_of, read_end
from spaceport.pipeline.jobs.table import JobTable, LeaseAnswer
from spaceport.pipeline.pricing import cost_usd, instance_type
from spaceport.pipeline.stages.checkpoint import CheckpointSync
from spaceport.pipeline.stages.heartbeat import Heartbeat, Lease
from spaceport.pipeline.stages.limits import machine_limits
from spaceport.pipeline.stages.live import LiveSync
from spaceport.pipeline.stages.stage import DONE, FAILED, REFUSED, RETRY, Stage
from spaceport.pipeline.storage import CHUNK_BYTES, Bucket, StoredManifest
from spaceport.progress import Progress

log = logging.getLogger(__name__)


def run_from_manifest(stage: Stage, bucket: str, key: str) -> int:
    """StageState on the job whose manifest `key` woke this process of AWS Batch; returns its exit code."""
    job_id, stage_name = layout.stage_for_manifest(key)
    if stage_name is not stage.name:
        raise ValueError(f"{key} wakes {stage_name}, not {stage.name}")
    lease = Lease(
        bucket=Bucket(bucket),
        table=JobTable(os.environ["SPACEPORT_TABLE"]),
        job_id=job_id,
        stage=stage.name,
        holder=os.environ["AWS_BATCH_JOB_ID"],
    )
    attempt = int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))
    scratch = Path(os.environ.get("SPACEPORT_WORK") or tempfile.gettempdir())
    return run_stage(stage, lease, key, attempt, scratch)


def run_stage(stage: Stage, lease: Lease, key: str, attempt: int, scratch: Path) -> int:
    """Run `stage` for the manifest at `key`. Returns the exit code by which Batch decides what to do next."""
    stored = lease.bucket.read_manifest(key)
    if stored is None or not _is_needed(stage, lease, stored.manifest):
        log.info("nothing to do for %s", key)
        return DONE
    answer = lease.table.acquire(lease.job_id, stage.name, stored.etag, lease.holder, attempt)
    if answer is not LeaseAnswer.GRANTED:
        log.info("%s of %s is %s: leaving it", stage.name, lease.job_id, answer.value)
        return DONE
    lease = replace(lease, spent_before=lease.table.stages(lease.job_id)[stage.name].spent)
    folder = scratch / f"{lease.job_id}-{stage.name}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return _run_guarded(stage, lease, stored, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_needed(stage: Stage, lease: Lease, manifest: AnyManifest) -> bool:
    if stage.name is StageName.COMPRESS and not manifest.request.options.compress_enabled:
        return False
    if lease.bucket.exists(layout.stage_manifest_key(lease.job_id, stage.name)):
        return False
    return read_end(lease.bucket, lease.job_id) is None


def _run_guarded(stage: Stage, lease: Lease, stored: StoredManifest, folder: Path) -> int:
    """Run, and turn every way to end into an exit code and an update of the table."""
    try:
        _run(stage, lease, stored, folder)
    except (Stopped, LostLease) as end:
        log.info("%s of %s ended early: %s", stage.name, lease.job_id, type(end).__name__)
        _release(lease, None)
        return DONE
    except Interrupted:
        log.info("the machine is taken away: %s of %s will be tried again", stage.name, lease.job_id)
        _release(lease, None)
        return RETRY
    except LostResource as error:
        log.warning("%s", error)
        _release(lease, error)
        return RETRY
    except SpaceportError as error:
        log.warning("%s", error)
        _release(lease, error)
        fail_job(lease.bucket, lease.table, lease.job_id, stage.name, failure_of(error), release=False)
        return REFUSED
    except Exception:
        log.exception("%s of %s failed", stage.name, lease.job_id)
        _release(lease, SpaceportError(Slug.INTERNAL, stage=TITLES[stage.name]))
        return FAILED
    return DONE


def _release(lease: Lease, error: SpaceportError | None) -> None:
    failure = failure_of(error) if error else None
    lease.table.release(lease.job_id, lease.stage, lease.holder, lease.spent(), failure)


def _run(stage: Stage, lease: Lease, stored: StoredManifest, folder: Path) -> None:
    manifest = stored.manifest
    source = folder / "input"
    output = folder / "output"
    output.mkdir(parents=True)
    checkpoint = CheckpointSync(lease, stored.etag, output / stage.checkpoint if stage.checkpoint else None, folder)
    live = LiveSync(lease, output)
    with Heartbeat(lease) as progress, checkpoint, live, machine_limits(TITLES[stage.name]):
        progress.update(0.0, "Fetching the input")
        _fetch(stage, lease, manifest, source, progress)
        checkpoint.fetch()
        outcome = stage.run(source, output, stage.options(manifest.request.options), progress)
        prefix = layout.job_prefix(lease.job_id)
        artefacts = lease.bucket.publish_folder(output, prefix, progress.check, exclude=checkpoint.path)
        _commit(lease, stored, outcome, artefacts)


def _commit(lease: Lease, stored: StoredManifest, outcome: Outcome, artefacts: list[Artefact]) -> None:
    """Write the manifest, unless the job has ended meanwhile. From then on the stage is done, whatever happens."""
    if read_end(lease.bucket, lease.job_id):
        raise Stopped
    instance = instance_type()
    seconds = lease.spent()
    lease.bucket.put_manifest(
        layout.stage_manifest_key(lease.job_id, lease.stage),
        StageManifest(
            job_id=lease.job_id,
            stage=lease.stage,
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
    lease.table.finish(lease.job_id, lease.stage, lease.holder)


def _fetch(stage: Stage, lease: Lease, manifest: AnyManifest, source: Path, progress: Progress) -> None:
    source.mkdir(parents=True)
    if isinstance(manifest, RequestManifest):
        if manifest.request.upload is None:
            raise Refused(Slug.UPLOAD_MISSING, name=lease.job_id)
        _fetch_upload(lease, manifest.request.upload, source / "upload.zip", progress)
    elif isinstance(manifest, StageManifest):
        _fetch_artefacts(stage, lease, manifest, source, layout.STAGE_FOLDERS[stage.name].fetched_prefixes, progress)
        if layout.STAGE_FOLDERS[stage.name].report_prefixes:
            _fetch_reports(stage, lease, source, progress)


def _fetch_reports(stage: Stage, lease: Lease, source: Path, progress: Progress) -> None:
    """What the stages before say of themselves, for a report: their manifests too, laid out as below the job.

    What cannot be fetched is missing there: a report that says less is no reason to lose a model.
    """
    stages = list(StageName)
    for earlier in stages[: stages.index(stage.name)]:
        key = layout.stage_manifest_key(lease.job_id, earlier)
        try:
            stored = lease.bucket.read_manifest(key)
            if stored is None or not isinstance(stored.manifest, StageManifest):
                continue
            prefixes = layout.STAGE_FOLDERS[stage.name].report_prefixes
            _fetch_artefacts(stage, lease, stored.manifest, source, prefixes, progress)
            path = source / layout.split_key(key)[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(stored.manifest.model_dump_json())
        except (ClientError, BotoCoreError, LostResource, Refused, ValueError) as error:
            log.warning("the report goes without %s: %s", earlier, type(error).__name__)


def _fetch_artefacts(
    stage: Stage, lease: Lease, manifest: StageManifest, source: Path, prefixes: tuple[str, ...], progress: Progress
) -> None:
    artefacts = {source / path: artefact for path, artefact in _selected(stage, manifest, prefixes)}
    wanted = {path: artefact for path, artefact in artefacts.items() if not path.exists()}
    lease.bucket.fetch_all(wanted, progress.check)


def _selected(stage: Stage, manifest: StageManifest, prefixes: tuple[str, ...]) -> list[tuple[PurePosixPath, Artefact]]:
    """The artefacts that the stage fetches, and their paths below its input folder: the same as below the job."""
    artefacts = []
    for artefact in manifest.artefacts:
        path = PurePosixPath(layout.split_key(artefact.key)[1])
        if ".." in path.parts or path.is_absolute():
            raise Refused(Slug.INPUT_MISSING, stage=TITLES[stage.name], name=artefact.key)
        if str(path).startswith(prefixes):
            artefacts.append((path, artefact))
    return artefacts


def _fetch_upload(lease: Lease, upload: Upload, path: Path, progress: Progress) -> None:
    """Download the very zip that was accepted: the etag pins it."""
    version: dict[str, Any] = {"VersionId": upload.version_id} if upload.version_id else {}
    try:
        response = lease.bucket.client.get_object(
            Bucket=upload.bucket, Key=upload.key, IfMatch=f'"{upload.etag}"', **version
        )
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in {404, 412}:
            raise Refused(Slug.UPLOAD_MISSING, name=upload.key) from error
        raise
    with path.open("wb") as file:
        for chunk in response["Body"].iter_chunks(CHUNK_BYTES):
            progress.check()
            file.write(chunk)


def code_version() -> str:
    """The version, and the commit when the image was built with one."""
    commit = os.environ.get("SPACEPORT_COMMIT")
    return f"{__version__}+{commit[:12]}" if commit else __version__

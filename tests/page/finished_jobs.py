"""Jobs that have ended, put into a running cloud with the files that a test wants, as if stages had made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline_cases import ended, key_of, requested, staged

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.contract import AnyManifest, Artefact, StageManifest, StageName
from spaceport.pipeline.layout import STAGE_FOLDERS


def add_finished_job(
    cloud: EmbeddedCloud, job_id: str, name: str, files: Mapping[str, bytes], **of_request: Any
) -> str:
    """A completed job with `files` by their names below it, as `compressed/model.sog`. Returns its id.

    Only the manifests of stages that have files are put, since each of them wakes the stage after it; the tracker ends
    the job after that of the compression, and whom `email` of the request names gets a mail.
    """
    deployment = deployment_of(cloud.access)
    manifests: list[AnyManifest] = [requested(job_id, name=name, **of_request)]
    for stage in StageName:
        folder = STAGE_FOLDERS[stage].output
        own = {f"jobs/{job_id}/{path}": body for path, body in files.items() if path.startswith(f"{folder}/")}
        for key, body in own.items():
            deployment.bucket.put_small(key, body)
        made = [Artefact(key=key, bytes=len(body)) for key, body in own.items()]
        manifests.append(staged(stage, job_id, name=name, **of_request).model_copy(update={"artefacts": made}))
    for manifest in (*manifests, ended(job_id=job_id)):
        deployment.table.record(manifest)
        if isinstance(manifest, StageManifest) and manifest.artefacts:
            deployment.bucket.put_manifest(key_of(manifest), manifest)
    return job_id

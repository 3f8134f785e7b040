"""What a job costs, stage by stage: its machine and that one's disk, what is kept in S3, and all that counts requests.

The estimate before a job and the sum after it are made by `stage_cost` alone, from what is likely and from what the
manifests say. List prices of us-east-1 in US dollars, from AWS's public price pages, 2026-11; days as the template's
parameters have them by default. A workstation costs nothing. Left out is what a deployment costs without any job.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from spaceport.pipeline.contract import StageManifest, StageName
from spaceport.pipeline.effort import choose_effort
from spaceport.pipeline.layout import holds_photos, job_prefix
from spaceport.pipeline.options import TrainOptions
from spaceport.pipeline.pricing import LOCAL, MACHINES, cost_usd, stage_seconds

HOURS_OF_MONTH: Final = 730
DAYS_OF_MONTH: Final = 30.4
DISK_GB, DISK_MBPS = 200, 500
GP3_GB_MONTH, GP3_MBPS_MONTH, GP3_MBPS_FREE = 0.08, 0.04, 125
S3_GB_MONTH, S3_PUT, S3_GET = 0.023, 0.005 / 1000, 0.0004 / 1000
LAMBDA_GB_SECOND, LAMBDA_CALL = 0.0000166667, 0.20 / 1e6
TABLE_WRITE, TABLE_READ = 0.625 / 1e6, 0.125 / 1e6
LOG_GB, MAIL = 0.50, 0.10 / 1000

KEEP_UPLOADS, KEEP_PHOTOS, KEEP_JOBS = 30, 14, 365
"""Days: the template's `KeepUploadsDays`, `KeepPhotosDays`, `KeepJobsDays`."""
BEAT_SECONDS: Final = 2.0
CALLS, CALL_SECONDS, FUNCTION_GB, LOG_GB_OF_STAGE = 7, 1.0, 0.5, 0.003
"""Of functions for each stage, and what they and it log; not measured in an account."""

PHOTO_BYTES: Final = 8_000_000
"""Of a 20-megapixel drone, as JPEG."""
UNDISTORTED: Final = 0.6
"""Of them, at COLMAP's quality and `max_image_size`."""
MODEL_BYTES: Final = 236_000_000
"""A million Gaussians with SH 3 as PLY."""
SOG_BYTES: Final = 24_000_000
"""The same as SOG, with its report."""


class Cost(NamedTuple):
    """Dollars of a stage, or of a job, until the last of its files is deleted."""

    machine: float
    disk: float
    storage: float
    requests: float
    """Of S3 and the table; and the functions, their logs and the mail."""

    @property
    def total(self) -> float:
        """Rounded to a ten-thousandth of a dollar."""
        return round(sum(self), 4)


FREE: Final = Cost(0.0, 0.0, 0.0, 0.0)


class Kept(NamedTuple):
    """What a stage leaves in S3."""

    objects: int
    photo_bytes: int
    """Of photos, as they came or undistorted, kept for `KEEP_PHOTOS` days."""
    other_bytes: int
    """Of all else, kept for `KEEP_JOBS` days."""
    upload_bytes: int = 0
    """Of the zip that the first stage was woken by, kept for `KEEP_UPLOADS` days."""


def stage_cost(machine: str, machine_usd: float, seconds: float, kept: Kept) -> Cost:
    """What a stage costs on a machine, as `pricing` names it, that costs these dollars for so many seconds."""
    if machine == LOCAL:
        return FREE
    disk_month = DISK_GB * GP3_GB_MONTH + (DISK_MBPS - GP3_MBPS_FREE) * GP3_MBPS_MONTH
    byte_days = kept.upload_bytes * KEEP_UPLOADS + kept.photo_bytes * KEEP_PHOTOS + kept.other_bytes * KEEP_JOBS
    rows = seconds / BEAT_SECONDS * (TABLE_WRITE + TABLE_READ)
    functions = CALLS * (LAMBDA_CALL + CALL_SECONDS * FUNCTION_GB * LAMBDA_GB_SECOND)
    return Cost(
        machine=machine_usd,
        disk=disk_month / HOURS_OF_MONTH * seconds / 3600,
        storage=byte_days / 1e9 / DAYS_OF_MONTH * S3_GB_MONTH,
        requests=kept.objects * (S3_PUT + S3_GET) + rows + functions + LOG_GB_OF_STAGE * LOG_GB + MAIL / len(StageName),
    )


def estimate_seconds(options: TrainOptions, photos: int) -> dict[StageName, float]:
    """How long each stage is likely to have its machine, with as many iterations as the options mean."""
    return stage_seconds(photos, choose_effort(options, None, photos).iterations_for(photos))


def estimate_costs(options: TrainOptions, photos: int, first: StageName = StageName.SFM) -> dict[StageName, Cost]:
    """What a job is likely to cost on the machines of the template, from its `first` stage on."""
    seconds = estimate_seconds(options, photos)
    uploaded = photos * PHOTO_BYTES
    kept = {
        StageName.SFM: Kept(2 * photos + 100, round((1 + UNDISTORTED) * uploaded), 0, uploaded),
        StageName.TRAIN: Kept(100, 0, MODEL_BYTES),
        StageName.COMPRESS: Kept(100, 0, SOG_BYTES),
    }
    stages = list(StageName)[list(StageName).index(first) :]
    return {
        stage: stage_cost(MACHINES[stage], cost_usd(MACHINES[stage], seconds[stage]), seconds[stage], kept[stage])
        for stage in stages
    }


def estimate_job_usd(options: TrainOptions, photos: int, first: StageName = StageName.SFM) -> float:
    """All of that together, in dollars."""
    return round(sum(cost.total for cost in estimate_costs(options, photos, first).values()), 4)


def is_of_another_job(manifest: StageManifest) -> bool:
    """Whether a job that goes on with another one's results has the manifest from that one."""
    own = job_prefix(manifest.job_id)
    return not all(artefact.key.startswith(own) for artefact in manifest.artefacts)


def actual_cost(manifest: StageManifest) -> Cost:
    """What a stage has cost, by its manifest; nothing where another job has paid for it."""
    if is_of_another_job(manifest):
        return FREE
    photos = sum(artefact.bytes for artefact in manifest.artefacts if holds_photos(artefact.key))
    others = sum(artefact.bytes for artefact in manifest.artefacts) - photos
    upload = manifest.request.upload if manifest.stage is StageName.SFM else None
    kept = Kept(len(manifest.artefacts), photos, others, upload.bytes if upload else 0)
    return stage_cost(manifest.instance_type, manifest.usd, manifest.seconds, kept)

"""Writes docs/cost.md from the prices and times that the pipeline itself estimates with: `make cost`.

Nothing was run in an account: times on the GPU are those of gsplat's table, sizes those of the surveys named below.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from spaceport.pipeline.contract import StageName
from spaceport.pipeline.effort import choose_effort
from spaceport.pipeline.options import Preset, TrainOptions
from spaceport.pipeline.pricing import MACHINES, stage_seconds, usd_per_hour

PAGE = Path(__file__).with_name("cost.md")
JOBS = (1, 100, 1000)
PHOTOS = (20, 300, 1000)

HOURS = 730  # of a month
DISK_GB, DISK_MBPS = 200, 500
# us-east-1, US dollars, AWS's public price pages, 2026-11
GP3_GB_MONTH, GP3_MBPS_MONTH, GP3_MBPS_FREE = 0.08, 0.04, 125
S3_GB_MONTH, S3_PUT, S3_GET = 0.023, 0.005 / 1000, 0.0004 / 1000
LAMBDA_GB_SECOND, LAMBDA_CALL = 0.0000166667, 0.20 / 1e6
TABLE_WRITE, TABLE_READ = 0.625 / 1e6, 0.125 / 1e6
LOG_GB, MAIL, ALARM_MONTH = 0.50, 0.10 / 1000, 0.10
ENDPOINT_HOUR, ENDPOINTS, ZONES, ALARMS = 0.01, 7, 3, 7

PHOTO_MB = 8.0  # of a 20-megapixel drone, as JPEG
UNDISTORTED = 0.6  # of them, at COLMAP's quality and `max_image_size`
MODEL_MB = 260.0  # a million Gaussians with SH 3 as PLY, its SOG and previews
KEEP_UPLOADS, KEEP_PHOTOS, KEEP_JOBS = 30, 14, 365  # the template's defaults, days


class Costs(NamedTuple):
    """Dollars of one job, by line."""

    machines: float
    disks: float
    storage: float
    requests: float
    rest: float

    @property
    def total(self) -> float:
        return sum(self)


def job_costs(photos: int, preset: Preset = Preset.STANDARD) -> Costs:
    """What one job costs until the last of its files is deleted."""
    effort = choose_effort(TrainOptions(preset=preset), None, photos)
    seconds = stage_seconds(photos, effort.iterations_for(photos))
    machines = sum(usd_per_hour(MACHINES[stage]) * seconds[stage] / 3600 for stage in StageName)
    disk_hour = (DISK_GB * GP3_GB_MONTH + (DISK_MBPS - GP3_MBPS_FREE) * GP3_MBPS_MONTH) / HOURS
    gigabytes = photos * PHOTO_MB / 1000
    months = gigabytes * (KEEP_UPLOADS + (1 + UNDISTORTED) * KEEP_PHOTOS) / 30.4 + MODEL_MB / 1000 * KEEP_JOBS / 30.4
    beats = sum(seconds.values()) / 2
    return Costs(
        machines=machines,
        disks=disk_hour * sum(seconds.values()) / 3600,
        storage=months * S3_GB_MONTH,
        requests=(2 * photos + 100) * S3_PUT + (2 * photos + 500) * S3_GET + beats * (TABLE_WRITE + TABLE_READ),
        rest=20 * (LAMBDA_CALL + 0.5 * LAMBDA_GB_SECOND) + 0.01 * LOG_GB + MAIL,
    )


def page() -> str:
    """The page, as Markdown."""
    one = "\n".join(
        f"| {photos} | "
        + " | ".join(f"{value:.3f}" for value in job_costs(photos))
        + f" | **{job_costs(photos).total:.2f}** |"
        for photos in PHOTOS
    )
    idle = ALARMS * ALARM_MONTH
    many = "\n".join(
        f"| {jobs:,} | " + " | ".join(f"{jobs * job_costs(photos).total + idle:,.2f}" for photos in PHOTOS) + " |"
        for jobs in JOBS
    )
    presets = "\n".join(
        f"| {preset} | " + " | ".join(f"{job_costs(photos, preset).total:.2f}" for photos in PHOTOS) + " |"
        for preset in Preset
    )
    photos_month = 300 * PHOTO_MB * S3_GB_MONTH / 1000
    private = ENDPOINT_HOUR * ENDPOINTS * ZONES * HOURS
    return f"""# What it costs

Written by `make cost` (docs/cost.py) from the prices and times that the pipeline estimates with: list prices of
us-east-1 in US dollars, 2026-11, and Spot where its price is known. Nothing was measured in an account yet. Assumed:
photos of {PHOTO_MB:.0f} MB, a model of a million Gaussians, the template's days of keeping.

One job with preset `standard`, in dollars:

| photos | machines | their disks | storage until all is deleted | requests and rows | functions, logs, mail | all |
|---|---|---|---|---|---|---|
{one}

By preset, dollars of a job of 20, 300 and 1,000 photos:

| preset | 20 | 300 | 1,000 |
|---|---|---|---|
{presets}

A month, by jobs and photos of each, dollars:

| jobs | 20 photos | 300 photos | 1,000 photos |
|---|---|---|---|
{many}

Idle, with no job at all: ${idle:.2f} a month ({ALARMS} alarms). Machines, queues, tables and the endpoints for S3 and
DynamoDB cost nothing then.

What changes it:

| parameter | effect |
|---|---|
| `KeepUploadsDays`, `KeepPhotosDays` | storage of photos: {photos_month:.3f} dollars a month for each copy of 300 |
| `KeepJobsDays` | storage of models: {MODEL_MB * S3_GB_MONTH / 1000:.3f} dollars a month and job |
| `PrivateNetwork=true` | {ENDPOINTS} endpoints in {ZONES} zones: {private:.0f} dollars a month, also idle |
| `FlowLogs=true` | {LOG_GB:.2f} dollars for each gigabyte of records |
| `train.preset`, `train.max_usd` | machines: a job stops training when `max_usd` is spent |
| on demand instead of Spot (nothing free) | training at 2.5 times the price |
"""


if __name__ == "__main__":
    PAGE.write_text(page())

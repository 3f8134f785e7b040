"""Writes docs/cost.md from the prices and times that the pipeline itself estimates with: `make cost`.

Nothing was run in an account: times on the GPU are those of gsplat's table, sizes those of the surveys named below.
"""

from __future__ import annotations

from pathlib import Path

from spaceport.pipeline.costs import (
    HOURS_OF_MONTH,
    LOG_GB,
    MODEL_BYTES,
    PHOTO_BYTES,
    S3_GB_MONTH,
    SOG_BYTES,
    Cost,
    estimate_costs,
)
from spaceport.pipeline.options import Preset, TrainOptions

PAGE = Path(__file__).with_name("cost.md")
JOBS = (1, 100, 1000)
PHOTOS = (20, 300, 1000)

# us-east-1, US dollars, 2026-11
ALARM_MONTH, ALARM_METRICS = 0.10, 14
METRIC_MONTH, IDLE_METRICS, JOB_METRICS = 0.30, 8, 20  # of our own: the sweeper's; those of one job, each for an hour
AUDITED, KEY_MONTH = 0.10 / 1e5, 1.00
ENDPOINT_HOUR, ENDPOINTS, ZONES = 0.01, 7, 3
CLOUDFRONT_GB, CLOUDFRONT_FREE_GB, VISIT_GB = 0.085, 1000, 0.0007
"""Of the page, with its viewer, as its budgets allow; after gzip. Models come from S3."""


def job_costs(photos: int, preset: Preset = Preset.STANDARD) -> Cost:
    """What one job costs until the last of its files is deleted, by line."""
    stages = estimate_costs(TrainOptions(preset=preset), photos).values()
    return Cost(*(sum(lines) for lines in zip(*stages, strict=True)))


def month_usd(jobs: int, photos: int) -> float:
    """What so many jobs cost in a month. Metrics are paid by the hours in which they are sent."""
    metrics = IDLE_METRICS + JOB_METRICS * jobs / HOURS_OF_MONTH
    return jobs * job_costs(photos).total + ALARM_METRICS * ALARM_MONTH + metrics * METRIC_MONTH


def page() -> str:
    """The page, as Markdown."""
    one = "\n".join(
        f"| {photos} | "
        + " | ".join(f"{value:.3f}" for value in job_costs(photos))
        + f" | **{job_costs(photos).total:.2f}** |"
        for photos in PHOTOS
    )
    many = "\n".join(
        f"| {jobs:,} | " + " | ".join(f"{month_usd(jobs, photos):,.2f}" for photos in PHOTOS) + " |" for jobs in JOBS
    )
    presets = "\n".join(
        f"| {preset} | " + " | ".join(f"{job_costs(photos, preset).total:.2f}" for photos in PHOTOS) + " |"
        for preset in Preset
    )
    photos_month = 300 * PHOTO_BYTES / 1e9 * S3_GB_MONTH
    private = ENDPOINT_HOUR * ENDPOINTS * ZONES * HOURS_OF_MONTH
    visits = CLOUDFRONT_FREE_GB / VISIT_GB
    model_month = (MODEL_BYTES + SOG_BYTES) / 1e9 * S3_GB_MONTH
    return f"""# What it costs

Written by `make cost` (docs/cost.py), which counts as `estimate_usd` and `cost_usd` of a job do
(spaceport/pipeline/costs.py): list prices of us-east-1 in US dollars, 2026-11, and Spot where its price
is known. Nothing was measured in an account yet. Assumed: photos of {PHOTO_BYTES / 1e6:.0f} MB, a model
of a million Gaussians, the template's days of keeping.

One job with preset `standard`, in dollars:

| photos | machines | their disks | storage until all is deleted | requests, functions, logs, mail | all |
|---|---|---|---|---|---|
{one}

By preset, dollars of a job of 20, 300 and 1,000 photos:

| preset | 20 | 300 | 1,000 |
|---|---|---|---|
{presets}

A month, by jobs and photos of each, dollars:

| jobs | 20 photos | 300 photos | 1,000 photos |
|---|---|---|---|
{many}

Idle, with no job at all: ${month_usd(0, 0):.2f} a month, for {ALARM_METRICS} metrics with alarms and {IDLE_METRICS}
metrics of our own; each job sends {JOB_METRICS} more for an hour. CloudWatch gives each account 10 of both and 3
dashboards for nothing, which is not counted here. Machines, queues, tables and the endpoints for S3 and DynamoDB
cost nothing then.

What changes it:

| parameter | effect |
|---|---|
| `KeepUploadsDays`, `KeepPhotosDays` | storage of photos: {photos_month:.3f} dollars a month for each copy of 300 |
| `KeepJobsDays` | storage of models: {model_month:.3f} dollars a month and job |
| `PrivateNetwork=true` | {ENDPOINTS} endpoints in {ZONES} zones: {private:.0f} dollars a month, also idle |
| `FlowLogs=true` | {LOG_GB:.2f} dollars for each gigabyte of records |
| `Audit=true` | {AUDITED * 1e5:.2f} dollars for 100,000 requests of objects; a job of 300 photos makes about 1,800 |
| `ApiAccessLogs=true` | {LOG_GB:.2f} dollars for each gigabyte of logs |
| `OwnKey=true` | {KEY_MONTH:.2f} dollars a month, as much again after each of two rotations; 0.03 for 10,000 uses |
| `Page=true` | nothing up to {visits:,.0f} visits a month; then {CLOUDFRONT_GB} dollars a gigabyte |
| `UserPoolArn` | Cognito's own prices, by the pool's plan: for each person active in a month, above a free allowance. \
No figure: AWS's page of them could not be read here |
| `WebAclArn` | WAF's own prices: from 5 dollars a month, one more for each rule, 0.60 for a million requests |
| `MonthlyBudgetUsd` | nothing |
| `train.preset`, `train.max_usd` | machines: a job stops training when `max_usd` is spent |
| on demand instead of Spot (nothing free) | training at 2.5 times the price |
"""


if __name__ == "__main__":
    PAGE.write_text(page())

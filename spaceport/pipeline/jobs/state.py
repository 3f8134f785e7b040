"""A job's row, and how it may change. Pure: no AWS, no clock.

`advance` folds any news into a row so that the order and the number of deliveries do not matter: states only rise,
the percentage only rises, facts of each stage are merged, and an end is final. A property test delivers every event
one to three times in random order and expects the same row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from spaceport.pipeline.contract import (
    AnyManifest,
    EndManifest,
    Failure,
    Figure,
    JobId,
    JobState,
    Request,
    RequestManifest,
    StageManifest,
    StageName,
)
from spaceport.pipeline.layout import REQUEST, stage_manifest_key
from spaceport.pipeline.pricing import estimate_usd

ENDS = frozenset(
    {JobState.COMPLETED, JobState.COMPLETED_DEGRADED, JobState.FAILED, JobState.STOPPED, JobState.REJECTED}
)
RUNNING: dict[StageName, JobState] = {
    StageName.SFM: JobState.SFM,
    StageName.TRAIN: JobState.TRAINING,
    StageName.COMPRESS: JobState.COMPRESSING,
}
AFTER: dict[StageName, JobState] = {
    StageName.SFM: JobState.TRAINING,
    StageName.TRAIN: JobState.COMPRESSING,
    StageName.COMPRESS: JobState.COMPRESSING,  # only the end manifest ends a job
}
RANK: dict[JobState, int] = {
    JobState.RECEIVED: 0,
    JobState.SFM: 1,
    JobState.TRAINING: 2,
    JobState.COMPRESSING: 3,
} | dict.fromkeys(ENDS, 4)

# The share of the whole that each stage fills on the bar, by where the time goes on 2 cores.
SPAN: dict[StageName, tuple[float, float]] = {
    StageName.SFM: (0.0, 25.0),
    StageName.TRAIN: (25.0, 90.0),
    StageName.COMPRESS: (90.0, 100.0),
}
MESSAGES: dict[JobState, str] = {
    JobState.RECEIVED: "Setting up your processing pipeline",
    JobState.SFM: "Extracting features from uploaded images",
    JobState.TRAINING: "Training advanced neural 3D representation",
    JobState.COMPRESSING: "Compressing with PlayCanvas SOGS algorithm",
    JobState.COMPLETED: "Your compressed 3D model is ready!",
}


class JobRecord(BaseModel):
    """The row `record = "job"`: what a person wants to know of a job."""

    model_config = ConfigDict(frozen=True)

    job_id: JobId
    record: str = "job"
    name: str
    email: str | None = None
    owner: str | None = None
    state: JobState = JobState.RECEIVED
    stage: StageName | None = None
    percent: float = 0.0
    message: str = MESSAGES[JobState.RECEIVED]
    created_at: datetime
    updated_at: datetime
    heartbeat_at: datetime | None = None
    counts: dict[str, Figure] = {}
    facts: dict[str, dict[str, Figure]] = {}
    """The counts as each stage gave them; `counts` is made from these."""
    quality: dict[str, float] = {}
    live: dict[str, Figure] = {}
    """Figures of the running stage: they come and go, unlike counts and quality."""
    estimate_usd: float = 0.0
    cost_usd: dict[str, float] = {}
    seconds: dict[str, float] = {}
    failure: Failure | None = None
    outputs: dict[str, str] = {}
    """Stage to the key of its manifest."""
    continues: JobId | None = None


class Work(StrEnum):
    """What became of a claim."""

    WORKING = "WORKING"
    RELEASED = "RELEASED"
    DONE = "DONE"


class StageRecord(BaseModel):
    """The row `record = "stage#sfm"`: who does a stage, and until when he may be silent."""

    model_config = ConfigDict(frozen=True)

    job_id: JobId
    record: str
    work: Work
    input_etag: str
    holder: str
    attempt: int = 1
    lease_until: float
    """Seconds since the epoch."""
    claims: int = 1
    """How often the work was begun."""
    spent: float = 0.0
    """Seconds that all tries have worked, as far as they have told; one that was killed has not told its last ones."""
    failure: Failure | None = None
    """Why the last try failed, for the one who ends the job."""


@dataclass(frozen=True)
class Beat:
    """News from a running stage."""

    stage: StageName
    fraction: float
    message: str
    counts: dict[str, Figure]
    at: datetime


def overall_percent(stage: StageName, fraction: float) -> float:
    """A stage's fraction (0 to 1) as a percentage of the whole job."""
    low, high = SPAN[stage]
    return round(low + (high - low) * min(max(fraction, 0.0), 1.0), 1)


def advance(record: JobRecord | None, news: AnyManifest | Beat) -> JobRecord | None:
    """The row after the news. Returns the same object when the news is old. A beat cannot make a row."""
    if isinstance(news, Beat):
        return _beat(record, news) if record else None
    record = record or _fresh(news.job_id, news.request)
    match news:
        case RequestManifest():
            after = _requested(record, news)
        case StageManifest():
            after = _staged(record, news)
        case EndManifest():
            after = _ended(record, news)
    return record.model_copy(update=after | {"updated_at": max(record.updated_at, news.created_at)})


def _fresh(job_id: str, request: Request) -> JobRecord:
    return JobRecord(
        job_id=job_id,
        name=request.name,
        email=request.email,
        owner=request.owner,
        created_at=request.received_at,
        updated_at=request.received_at,
        continues=request.continues,
    )


def _requested(record: JobRecord, news: RequestManifest) -> dict[str, object]:
    estimate = estimate_usd(news.photos, news.request.options.train.max_iterations)
    return _counted(record, REQUEST, {"photos": news.photos}) | {"estimate_usd": estimate}


def _staged(record: JobRecord, news: StageManifest) -> dict[str, object]:
    changes = _counted(record, news.stage, news.outcome.counts) | {
        "quality": record.quality | news.outcome.quality,
        "cost_usd": record.cost_usd | {news.stage: news.usd},
        "seconds": record.seconds | {news.stage: news.seconds},
        "outputs": record.outputs | {news.stage: stage_manifest_key(news.job_id, news.stage)},
    }
    if record.state in ENDS:
        return changes
    changes["percent"] = max(record.percent, SPAN[news.stage][1])
    state = AFTER[news.stage]
    if RANK[state] > RANK[record.state]:
        changes |= {"state": state, "stage": None, "live": {}, "message": MESSAGES[state]}
    return changes


def _counted(record: JobRecord, source: str, counts: dict[str, Figure]) -> dict[str, object]:
    """Where two stages count the same thing (compression may drop Gaussians) the later stage is right."""
    facts = record.facts | {source: counts}
    ordered = [facts[name] for name in (REQUEST, *StageName) if name in facts]
    return {"facts": facts, "counts": {name: value for part in ordered for name, value in part.items()}}


def _ended(record: JobRecord, news: EndManifest) -> dict[str, object]:
    if record.state in ENDS:
        return {}
    whole = news.state in {JobState.COMPLETED, JobState.COMPLETED_DEGRADED}
    return {
        "state": news.state,
        "stage": news.stage,
        "failure": news.failure,
        "message": news.message,
        "live": {},
        "percent": 100.0 if whole else record.percent,
    }


def _beat(record: JobRecord, news: Beat) -> JobRecord:
    running = RUNNING[news.stage]
    if record.state in ENDS or RANK[running] < RANK[record.state] or news.stage in record.outputs:
        return record
    percent = overall_percent(news.stage, news.fraction)
    return record.model_copy(
        update={
            "state": running,
            "stage": news.stage,
            "percent": max(record.percent, percent),
            "message": news.message if percent >= record.percent else record.message,
            "live": record.live | news.counts,
            "heartbeat_at": news.at,
            "updated_at": max(record.updated_at, news.at),
        }
    )

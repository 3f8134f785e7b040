"""A job's row, and how it may change. Pure: no AWS, no clock.

`advance` folds any event into a row so that the order and the number of deliveries do not matter: states only rise,
the percentage only rises, the counts of each stage are merged, and an end is final. A property test delivers every
event one to three times in random order and expects the same row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from spaceport.pipeline.contract import (
    DEFAULT_TENANT,
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
from spaceport.pipeline.costs import actual_cost, estimate_costs, is_of_another_job
from spaceport.pipeline.layout import REQUEST, stage_manifest_key

END_STATES = frozenset(
    {JobState.COMPLETED, JobState.COMPLETED_DEGRADED, JobState.FAILED, JobState.STOPPED, JobState.REJECTED}
)
RUNNING_STATE: dict[StageName, JobState] = {
    StageName.SFM: JobState.SFM,
    StageName.TRAIN: JobState.TRAINING,
    StageName.COMPRESS: JobState.COMPRESSING,
}
NEXT_STATE: dict[StageName, JobState] = {
    StageName.SFM: JobState.TRAINING,
    StageName.TRAIN: JobState.COMPRESSING,
    StageName.COMPRESS: JobState.COMPRESSING,  # only the end manifest ends a job
}
RANK: dict[JobState, int] = {
    JobState.RECEIVED: 0,
    JobState.SFM: 1,
    JobState.TRAINING: 2,
    JobState.COMPRESSING: 3,
} | dict.fromkeys(END_STATES, 4)

# The percentages of the whole job that each stage covers, by where the time goes on 2 cores.
PERCENT_SPAN: dict[StageName, tuple[float, float]] = {
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


HEADLINES: dict[JobState, str] = MESSAGES | {
    JobState.COMPLETED_DEGRADED: "Your 3D model is ready, uncompressed",
    JobState.FAILED: "This job could not be finished",
    JobState.STOPPED: "Processing stopped, finished work kept",
    JobState.REJECTED: "This upload could not be used",
}
"""One sentence for each state, for pages; `message` says more."""


def _by_stage(value: Any) -> Any:
    """An estimate without the one figure of older rows."""
    return {} if isinstance(value, float | int) else value


class JobRecord(BaseModel):
    """The row `record = "job"`: what a person wants to know of a job."""

    model_config = ConfigDict(frozen=True)

    job_id: JobId
    record: str = "job"
    name: str
    email: str | None = None
    tenant: str = DEFAULT_TENANT
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
    """The counts as each stage reported them; `counts` is made from these."""
    quality: dict[str, float] = {}
    live: dict[str, Figure] = {}
    """Figures of the running stage, gone when it ends, unlike counts and quality."""
    estimate_usd: Annotated[dict[str, float], BeforeValidator(_by_stage)] = {}
    """By stage, what it was likely to cost, its disk, storage and requests included; known before any work.

    Rows of 0.2 hold one figure for all stages: it is let go of, so that a new version reads every row.
    """
    cost_usd: dict[str, float] = {}
    """By stage, what it has cost, counted in the same way; 0 on a machine of one's own."""
    seconds: dict[str, float] = {}
    failure: Failure | None = None
    outputs: dict[str, str] = {}
    """Stage to the key of its manifest."""
    continues: JobId | None = None
    deleted_at: datetime | None = None
    """When its owner had it deleted: it is shown to nobody, and the sweeper is about to forget it."""


class StageState(StrEnum):
    """The state of a stage's row: a worker has it, gave it back, or has finished it."""

    WORKING = "WORKING"
    RELEASED = "RELEASED"
    DONE = "DONE"


class StageRecord(BaseModel):
    """The row `record = "stage#sfm"`: which worker has the stage, and until when its lease lasts."""

    model_config = ConfigDict(frozen=True)

    job_id: JobId
    record: str
    work: StageState
    input_etag: str
    holder: str
    attempt: int = 1
    lease_until: float
    """Seconds since the epoch."""
    claims: int = 1
    """How often the stage was begun."""
    spent: float = 0.0
    """Seconds that all tries have worked, as of their last heartbeat: a killed one lacks its last seconds."""
    failure: Failure | None = None
    """Why the last try failed, for whoever ends the job."""


@dataclass(frozen=True)
class Beat:
    """A heartbeat of a running stage, with its progress."""

    stage: StageName
    fraction: float
    message: str
    counts: dict[str, Figure]
    at: datetime


def overall_percent(stage: StageName, fraction: float) -> float:
    """A stage's fraction (0 to 1) as a percentage of the whole job."""
    low, high = PERCENT_SPAN[stage]
    return round(low + (high - low) * min(max(fraction, 0.0), 1.0), 1)


def advance(record: JobRecord | None, event: AnyManifest | Beat) -> JobRecord | None:
    """The row after the event. Returns the same object when the event is old. A beat cannot make a row."""
    if isinstance(event, Beat):
        return _apply_beat(record, event) if record else None
    record = record or _new_record(event.job_id, event.request)
    match event:
        case RequestManifest():
            after = _apply_request(record, event)
        case StageManifest():
            after = _apply_stage(record, event)
        case EndManifest():
            after = _apply_end(record, event)
    return record.model_copy(update=after | {"updated_at": max(record.updated_at, event.created_at)})


def _new_record(job_id: str, request: Request) -> JobRecord:
    return JobRecord(
        job_id=job_id,
        name=request.name,
        email=request.email,
        tenant=request.tenant,
        owner=request.owner,
        created_at=request.received_at,
        updated_at=request.received_at,
        continues=request.continues,
    )


def _apply_request(record: JobRecord, event: RequestManifest) -> dict[str, object]:
    estimate = _estimate(event.request, event.photos, StageName.SFM)
    return _merge_counts(record, REQUEST, {"photos": event.photos}) | {"estimate_usd": estimate}


def _apply_stage(record: JobRecord, event: StageManifest) -> dict[str, object]:
    changes = _merge_counts(record, event.stage, event.outcome.counts) | {
        "quality": record.quality | event.outcome.quality,
        "cost_usd": record.cost_usd | {event.stage: actual_cost(event).total},
        "seconds": record.seconds | {event.stage: event.seconds},
        "outputs": record.outputs | {event.stage: stage_manifest_key(event.job_id, event.stage)},
    }
    if is_of_another_job(event):
        estimate = _estimate(event.request, photos_of(event), event.stage)
        changes["estimate_usd"] = {stage: usd for stage, usd in estimate.items() if stage is not event.stage}
    if record.state in END_STATES:
        return changes
    changes["percent"] = max(record.percent, PERCENT_SPAN[event.stage][1])
    state = NEXT_STATE[event.stage]
    if RANK[state] > RANK[record.state]:
        changes |= {"state": state, "stage": None, "live": {}, "message": MESSAGES[state]}
    return changes


def photos_of(manifest: AnyManifest) -> int:
    """How many photos a job has, by one of its manifests; 0 where that does not say."""
    if isinstance(manifest, RequestManifest):
        return manifest.photos
    photos = manifest.outcome.counts.get("photos", 0) if isinstance(manifest, StageManifest) else 0
    return photos if isinstance(photos, int) else 0


def _estimate(request: Request, photos: int, first: StageName) -> dict[str, float]:
    """Dollars that the stages from the `first` one on are likely to cost."""
    costs = estimate_costs(request.options.train, photos, first)
    return {stage: cost.total for stage, cost in costs.items()}


def _merge_counts(record: JobRecord, source: str, counts: dict[str, Figure]) -> dict[str, object]:
    """Where two stages count the same thing (compression may drop Gaussians) the later stage is right."""
    facts = record.facts | {source: counts}
    ordered = [facts[name] for name in (REQUEST, *StageName) if name in facts]
    return {"facts": facts, "counts": {name: value for part in ordered for name, value in part.items()}}


def _apply_end(record: JobRecord, event: EndManifest) -> dict[str, object]:
    if record.state in END_STATES:
        return {}
    completed = event.state in {JobState.COMPLETED, JobState.COMPLETED_DEGRADED}
    return {
        "state": event.state,
        "stage": event.stage,
        "failure": event.failure,
        "message": event.message,
        "live": {},
        "percent": 100.0 if completed else record.percent,
    }


def _apply_beat(record: JobRecord, event: Beat) -> JobRecord:
    running = RUNNING_STATE[event.stage]
    if record.state in END_STATES or RANK[running] < RANK[record.state] or event.stage in record.outputs:
        return record
    percent = overall_percent(event.stage, event.fraction)
    return record.model_copy(
        update={
            "state": running,
            "stage": event.stage,
            "percent": max(record.percent, percent),
            "message": event.message if percent >= record.percent else record.message,
            "live": record.live | event.counts,
            "heartbeat_at": event.at,
            "updated_at": max(record.updated_at, event.at),
        }
    )

"""`POST /estimate`: the seconds and dollars that a job is likely to take, before its photos are sent."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.api_gateway import Router
from pydantic import BaseModel, ConfigDict, Field

from functions.api.caller import caller_of, current_event, json_body
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.costs import estimate_costs, estimate_seconds
from spaceport.pipeline.options import resolve
from spaceport.pipeline.uploads.zip_directory import MAX_ENTRIES

router = Router()  # type: ignore[no-untyped-call]


class EstimateRequest(BaseModel):
    """The body."""

    model_config = ConfigDict(extra="forbid")

    photos: Annotated[int, Field(ge=1, le=MAX_ENTRIES)]
    options: dict[str, Any] = {}


@router.post("/estimate")
def estimate() -> dict[str, Any]:
    """On the machines of the template, whatever this deployment runs on: an own machine costs nothing."""
    event = current_event(router)
    caller_of(event)
    request = EstimateRequest.model_validate(json_body(event))
    options = resolve(request.options)
    seconds = estimate_seconds(options.train, request.photos)
    costs = estimate_costs(options.train, request.photos)
    wanted = [stage for stage in StageName if stage is not StageName.COMPRESS or options.compress_enabled]
    return {
        "stages": {stage: {"seconds": round(seconds[stage]), "usd": costs[stage].total} for stage in wanted},
        "seconds": round(sum(seconds[stage] for stage in wanted)),
        "usd": round(sum(costs[stage].total for stage in wanted), 4),
    }

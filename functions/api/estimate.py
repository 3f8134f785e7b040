"""`POST /estimate`: the seconds and dollars that a job is likely to take, before its photos are sent."""

from __future__ import annotations

import os
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.api_gateway import Router
from pydantic import BaseModel, ConfigDict, Field

from functions.api.caller import current_event, json_body
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.costs import estimate_costs, estimate_seconds
from spaceport.pipeline.options import resolve
from spaceport.pipeline.own_machine import own_machine_seconds
from spaceport.pipeline.uploads.zip_directory import MAX_ENTRIES

router = Router()  # type: ignore[no-untyped-call]


class EstimateRequest(BaseModel):
    """The body."""

    model_config = ConfigDict(extra="forbid")

    photos: Annotated[int, Field(ge=1, le=MAX_ENTRIES)]
    options: dict[str, Any] = {}


@router.post("/estimate")
def estimate() -> dict[str, Any]:
    """On the machines of the template; of the embedded cloud on this machine, which costs nothing."""
    request = EstimateRequest.model_validate(json_body(current_event(router)))
    options = resolve(request.options)
    if "AWS_ENDPOINT_URL" in os.environ:
        seconds = own_machine_seconds(options, request.photos, len(os.sched_getaffinity(0)))
        usd = dict.fromkeys(StageName, 0.0)
    else:
        seconds = estimate_seconds(options.train, request.photos)
        usd = {stage: cost.total for stage, cost in estimate_costs(options.train, request.photos).items()}
    wanted = [stage for stage in StageName if stage is not StageName.COMPRESS or options.compress_enabled]
    return {
        "stages": {stage: {"seconds": round(seconds[stage]), "usd": usd[stage]} for stage in wanted},
        "seconds": round(sum(seconds[stage] for stage in wanted)),
        "usd": round(sum(usd[stage] for stage in wanted), 4),
    }

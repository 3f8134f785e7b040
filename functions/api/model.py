"""`GET /jobs/ID/model`: what a viewer loads of a model, each file by an address of its own that works for an hour."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from functions.api.access import visible_job
from functions.api.caller import audit_call, current_caller, current_event
from functions.api.errors import error_response
from functions.clients import bucket
from functions.links import artefacts_of_tenant, presigned
from spaceport.pipeline.contract import Artefact, StageManifest, StageName, now
from spaceport.pipeline.jobs.state import JobRecord

SECONDS: Final = 3600
MAX_FILES: Final = 2500
"""Whose addresses fit into an answer of Lambda; a model of more levels than that is loaded whole."""
MAX_VIEWER_BYTES: Final = 1 << 20
SOG, LEVELS, LOD_META, VIEWER = "compressed/model.sog", "compressed/lod/", "lod-meta.json", "compressed/viewer.json"
FLIGHT: Final = "compressed/flight.mp4"
POSTERS: Final = ("compressed/poster.jpg", "compressed/preview.jpg")
NO_MODEL: Final = "There is no compressed model of this job. Its page says how far it came, and lists what there is."

router = Router()  # type: ignore[no-untyped-call]


@router.get("/jobs/<job_id>/model")
def show_model(job_id: str) -> dict[str, Any] | Response[str]:
    event = current_event(router)
    caller = current_caller()
    row = visible_job(caller, job_id)
    answer = model_of(row, single=wants_single(event))
    if answer is None:
        return error_response(404, "no_model", NO_MODEL)
    audit_call(event, caller, row.job_id)
    return answer


def wants_single(event: APIGatewayProxyEvent) -> bool:
    """Whether a call asks for the whole model in one file: `?of=sog`."""
    return (event.query_string_parameters or {}).get("of") == "sog"


def model_of(row: JobRecord, *, single: bool) -> dict[str, Any] | None:
    """The addresses of a job's compressed model, as levels of detail where there are some; None without one.

    Args:
        single: the whole model in one file, also where there are levels.
    """
    key = row.outputs.get(StageName.COMPRESS)
    stored = bucket().read_manifest(key) if key else None
    if stored is None or not isinstance(stored.manifest, StageManifest):
        return None
    artefacts = {_path(artefact): artefact for artefact in artefacts_of_tenant(stored.manifest)}
    if SOG not in artefacts:
        return None
    levels = {path.removeprefix(LEVELS): each for path, each in artefacts.items() if path.startswith(LEVELS)}
    is_streamed = not single and LOD_META in levels and len(levels) <= MAX_FILES
    files = levels if is_streamed else {"model.sog": artefacts[SOG]}
    poster = next((artefacts[path] for path in POSTERS if path in artefacts), None)
    return {
        "format": "lod" if is_streamed else "sog",
        "files": {name: presigned(artefact, SECONDS) for name, artefact in files.items()},
        "bytes": {name: artefact.bytes for name, artefact in files.items()},
        "viewer": _viewer(artefacts.get(VIEWER)),
        "poster": presigned(poster, SECONDS) if poster else None,
        "flight": presigned(artefacts[FLIGHT], SECONDS) if FLIGHT in artefacts else None,
        "expires_at": (now() + timedelta(seconds=SECONDS)).isoformat(),
    }


def _path(artefact: Artefact) -> str:
    """`compressed/…`, below whichever job it lies."""
    return artefact.key.split("/", 2)[2]


def _viewer(artefact: Artefact | None) -> Any:
    """How the model is looked at first: the content of `viewer.json`; None where there is none that can be read."""
    try:
        raw = bucket().read_small(artefact.key, MAX_VIEWER_BYTES) if artefact else None
        return json.loads(raw) if raw else None
    except ValueError:
        return None

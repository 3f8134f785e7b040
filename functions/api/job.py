"""`/jobs/ID`: a job as its page polls it, and its deletion.

The answer to a poll has an ETag, so that most answers are 304 and a few bytes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from functions.api.access import job_to_handle, visible_row
from functions.api.caller import audit_call, current_caller, current_event
from functions.clients import bucket, table
from functions.links import FILES, links, presigned, report_addresses
from spaceport.pipeline.contract import AnyManifest, Artefact, JobState, StageName
from spaceport.pipeline.jobs.deletion import request_deletion
from spaceport.pipeline.jobs.ending import UNCOMPRESSED
from spaceport.pipeline.jobs.state import END_STATES, HEADLINES, JobRecord
from spaceport.pipeline.layout import input_manifest_key, live_key, request_key
from spaceport.pipeline.live import LIVE_JSON, LIVE_PICTURE, MAX_JSON_BYTES, Live
from spaceport.pipeline.tenants import Caller

POLL_SECONDS: Final = 2
"""As often as workers write the row."""
LINK_SECONDS: Final = 3600
"""How long an answer with links may be kept: they work for longer."""
DELETED: Final = "The job is gone, and its upload, its files and its links are deleted within minutes."

router = Router()  # type: ignore[no-untyped-call]


@router.get("/jobs/<job_id>")
def show_job(job_id: str) -> Response[str]:
    event = current_event(router)
    caller = current_caller()
    row, version = visible_row(caller, job_id)
    has_ended = row.state in END_STATES
    reason = table().unsent_mail(row.job_id) if has_ended and row.email else None
    live, mark = read_live(row)
    etag = f'"{version}-{int(time.time()) // LINK_SECONDS}{"-mail" if reason else ""}{mark}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in _etags(event.headers.get("if-none-match") or ""):
        return Response(304, body="", headers=headers)
    manifests = _manifests(row) if has_ended else {}  # the page polls, and manifests can be megabytes
    file_links = [link.model_dump() for link in links(manifests.values(), row.name, FILES)]
    if file_links:
        audit_call(event, caller, row.job_id)
    stages = table().stages(row.job_id)
    answer = {
        "job": public(row),
        "headline": headline(row),
        "poll_seconds": None if has_ended else POLL_SECONDS,
        "stages": {name: stage.model_dump(mode="json", exclude_none=True) for name, stage in stages.items()},
        "links": file_links,
        "report": report_addresses(manifests.values()),
    }
    if live:
        answer |= _shown_live(event, caller, row.job_id, live)
    if manifests:
        answer |= to_go_on(row.job_id, manifests)
    if reason:
        answer["noMail"] = reason
    return Response(200, content_types.APPLICATION_JSON, json.dumps(answer), headers=headers)


def read_live(row: JobRecord) -> tuple[Live | None, str]:
    """What the row's running training shows of itself, and a mark that changes with it; None where there is nothing."""
    if row.state is not JobState.TRAINING:
        return None, ""
    try:
        raw = bucket().read_small(live_key(row.job_id, StageName.TRAIN, LIVE_JSON), MAX_JSON_BYTES)
        return (Live.model_validate_json(raw), f"-{sha256(raw).hexdigest()[:16]}") if raw else (None, "")
    except ValueError:  # damaged
        return None, ""


def _shown_live(event: APIGatewayProxyEvent, caller: Caller, job_id: str, live: Live) -> dict[str, Any]:
    """`series` and `live`. The picture's address only where the caller does not have it: `?live=` is the time of its
    picture, so that a page that polls fetches each picture, and is audited, once."""
    shown = live.model_dump(mode="json")
    picture = shown["picture"]
    if picture and (event.query_string_parameters or {}).get("live") != picture["at"]:
        audit_call(event, caller, job_id)
        key = live_key(job_id, StageName.TRAIN, LIVE_PICTURE)
        picture |= {"url": presigned(Artefact(key=key, bytes=0), LINK_SECONDS)}
    return {"series": shown["series"], "live": picture}


def _manifests(row: JobRecord) -> dict[str, AnyManifest]:
    """Those of a job that are there but its end, by their keys."""
    keys = (request_key(row.job_id), *row.outputs.values())
    return {stored.key: stored.manifest for stored in map(bucket().read_manifest, keys) if stored}


def to_go_on(job_id: str, manifests: Mapping[str, AnyManifest]) -> dict[str, Any]:
    """For `POST /jobs/ID/retry`: the stages that have what they begin with, and the options as they were."""
    *_, last = manifests.values()
    return {
        "retry_from": [stage for stage in StageName if input_manifest_key(job_id, stage) in manifests],
        "options": last.request.options.model_dump(mode="json"),
    }


@router.delete("/jobs/<job_id>")
def delete_job(job_id: str) -> tuple[dict[str, Any], int]:
    event = current_event(router)
    caller = current_caller()
    row = job_to_handle(caller, job_id)
    audit_call(event, caller, row.job_id)
    request_deletion(bucket(), table(), row)
    return {"jobId": row.job_id, "message": DELETED}, 202


def public(row: JobRecord) -> dict[str, Any]:
    """A job's row, as who may see the job sees it."""
    return row.model_dump(mode="json", exclude_none=True, exclude={"record", "facts"})


def headline(row: JobRecord) -> str:
    """One sentence for where a job is."""
    if row.state is JobState.COMPLETED and StageName.COMPRESS not in row.outputs and row.message == UNCOMPRESSED:
        return HEADLINES[JobState.COMPLETED_DEGRADED]
    return HEADLINES[row.state]


def _etags(header: str) -> set[str]:
    """Those of `If-None-Match`; whoever compresses an answer on its way makes a weak one of ours."""
    return {each.strip().removeprefix("W/") for each in header.split(",")}

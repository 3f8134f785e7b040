"""Shares: `/jobs/ID/shares` for who may handle the job, and `/shared` for whoever has a link, without an API key.

A holder of a link sees one job within the link's scope: never a mail address, an owner, options, costs or another job.
Wrong, expired and withdrawn links have the same answer.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.api_gateway import Router
from pydantic import BaseModel, ConfigDict, Field

from functions.api.access import job_to_handle
from functions.api.caller import audit_call, current_caller, current_event, json_body, source_ip
from functions.api.errors import error_response
from functions.api.model import NO_MODEL, SECONDS, SOG, model_of, wants_single
from functions.api.share_report import files_of_share, reports_of_share
from functions.clients import bucket, table
from functions.links import MODELS, PICTURES, artefacts_of_tenant, links, report_addresses
from spaceport.pipeline.contract import StageManifest, now
from spaceport.pipeline.errors import Refused, Slug, UnknownJob
from spaceport.pipeline.jobs.audit import audit
from spaceport.pipeline.jobs.shares import (
    DEFAULT_DAYS,
    InvalidShare,
    Scope,
    Share,
    list_shares,
    new_share,
    share_of_token,
    withdraw_share,
)
from spaceport.pipeline.jobs.state import JobRecord
from spaceport.pipeline.jobs.table import KEEP_DAYS

MAX_DAYS: Final = 365
TOKEN_HEADER: Final = "x-share-token"  # noqa: S105  a name
COUNTS: Final = ("photos", "registered", "points", "gaussians", "sog_bytes")
"""What a holder sees of the job's counts."""
INVALID: Final = "This link does not work: it is mistyped, was withdrawn or has ended. Ask whoever sent it for another."
HEADERS: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}

router = Router()  # type: ignore[no-untyped-call]


class ShareRequest(BaseModel):
    """The body of `POST /jobs/ID/shares`."""

    model_config = ConfigDict(extra="forbid")

    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = None
    may: Scope = Scope.LOOK
    positions: bool = False
    label: Annotated[str, Field(max_length=200)] = ""


@router.post("/jobs/<job_id>/shares")
def share_job(job_id: str) -> tuple[dict[str, Any], int]:
    event = current_event(router)
    caller = current_caller()
    row = job_to_handle(caller, job_id)
    request = ShareRequest.model_validate(json_body(event))
    kept = int(float(os.environ.get(KEEP_DAYS) or MAX_DAYS))
    if request.days is not None and request.days > kept:
        raise Refused(Slug.BAD_OPTIONS, detail=f"`days`: files of jobs are kept for {kept} days here")
    audit_call(event, caller, row.job_id)
    days = request.days or min(DEFAULT_DAYS, kept)
    share, token = new_share(bucket(), row.job_id, days, request.may, request.label, positions=request.positions)
    return {"share": _public(share), "token": token}, 201


@router.get("/jobs/<job_id>/shares")
def show_shares(job_id: str) -> dict[str, Any]:
    row = job_to_handle(current_caller(), job_id)
    return {"shares": [_public(share) for share in list_shares(bucket(), row.job_id)]}


@router.delete("/jobs/<job_id>/shares/<share_id>")
def withdraw(job_id: str, share_id: str) -> dict[str, Any]:
    event = current_event(router)
    caller = current_caller()
    row = job_to_handle(caller, job_id)
    audit_call(event, caller, row.job_id)
    share = withdraw_share(bucket(), row.job_id, share_id)
    if share is None:
        raise UnknownJob(f"Job {row.job_id} has no such share.")
    return {"share": _public(share)}


@router.get("/shared")
def open_share() -> Response[str]:
    try:
        share, row = _opened()
    except InvalidShare:
        return _invalid()
    manifests = [
        stored.manifest
        for stored in map(bucket().read_manifest, row.outputs.values())
        if stored and isinstance(stored.manifest, StageManifest)
    ]
    job: dict[str, Any] = {"name": row.name, "created_at": row.created_at.isoformat(), "state": row.state}
    job["counts"] = {name: row.counts[name] for name in COUNTS if name in row.counts}
    answer: dict[str, Any] = {
        "job": job,
        "may": share.may,
        "positions": share.positions,
        "expires_at": share.expires_at.isoformat(),
        "model": any(artefacts_of_tenant(manifest, (f"/{SOG}",)) for manifest in manifests),
        "pictures": [link.model_dump() for link in links(manifests, row.name, PICTURES, SECONDS)],
        "links_expire_at": (now() + timedelta(seconds=SECONDS)).isoformat(),
    }
    if share.may.allows(Scope.REPORT):
        answer["report"] = reports_of_share(manifests, positions=share.positions)
        answer["files"] = files_of_share(report_addresses(manifests, SECONDS), positions=share.positions)
    if share.may.allows(Scope.DOWNLOAD):
        answer["links"] = [link.model_dump() for link in links(manifests, row.name, MODELS, SECONDS)]
    return _answer(answer)


@router.get("/shared/model")
def open_model() -> Response[str]:
    try:
        _, row = _opened()
    except InvalidShare:
        return _invalid()
    answer = model_of(row, single=wants_single(current_event(router)))
    return _answer(answer) if answer else error_response(404, "no_model", NO_MODEL)


def _opened() -> tuple[Share, JobRecord]:
    """The share of the call's token and its job, in the audit log. Raises `InvalidShare`."""
    event = current_event(router)
    share = share_of_token(bucket(), event.headers.get(TOKEN_HEADER) or "")
    row = table().get(share.job_id)
    if row is None or row.deleted_at:
        raise InvalidShare
    subject = f"{row.job_id} by share {share.id[:12]}"
    audit(table(), row.tenant, f"GET {event.path}", subject, source=source_ip(event))
    return share, row


def _public(share: Share) -> dict[str, Any]:
    return share.model_dump(mode="json", exclude_none=True, exclude={"schema_version", "job_id"})


def _answer(body: dict[str, Any]) -> Response[str]:
    return Response(200, content_types.APPLICATION_JSON, json.dumps(body), headers=dict(HEADERS))


def _invalid() -> Response[str]:
    return error_response(404, "not_found", INVALID)

"""Small pictures of the models in a list of jobs: `GET /jobs?previews=true`.

A page asks for them once and keeps the addresses, which work for an hour: signing one takes a fifth of a millisecond,
but addresses that changed with every poll would have the pictures loaded again, and audited.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from functions.api.caller import audit_call
from functions.links import presigned
from spaceport.pipeline.contract import Artefact
from spaceport.pipeline.jobs.state import JobRecord
from spaceport.pipeline.layout import job_prefix
from spaceport.pipeline.tenants import Caller

PREVIEW_SECONDS: Final = 3600
MAX_PREVIEWS: Final = 50
"""In an answer, the first of its jobs: more than a screen shows."""
THUMB, THUMB_BYTES = "compressed/thumb.jpg", "thumb_bytes"


def preview_addresses(event: APIGatewayProxyEvent, caller: Caller, rows: Sequence[JobRecord]) -> dict[str, str]:
    """Where the pictures of these jobs can be read, by job; of those that have one. Writes them into the audit log."""
    artefacts = {row.job_id: artefact for row in rows if (artefact := _thumb(row))}
    chosen = dict(list(artefacts.items())[:MAX_PREVIEWS])
    if chosen:
        audit_call(event, caller, " ".join(chosen))
    return {job_id: presigned(artefact, PREVIEW_SECONDS) for job_id, artefact in chosen.items()}


def _thumb(row: JobRecord) -> Artefact | None:
    size = row.counts.get(THUMB_BYTES)
    return Artefact(key=f"{job_prefix(row.job_id)}{THUMB}", bytes=size) if isinstance(size, int) else None

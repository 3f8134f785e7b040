"""Which jobs a caller of the API may see and handle.

A caller sees the jobs of its tenant; another's do not exist for it. It may stop and continue the jobs that its own key
began, and those that no key began; an admin key of the tenant may handle all of them. A person who has signed in sees
and handles only the jobs that it began itself, unless it is an admin.
"""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from functions.api.errors import Forbidden
from functions.clients import table
from spaceport.pipeline.contract import JobId
from spaceport.pipeline.errors import UnknownJob
from spaceport.pipeline.jobs.state import JobRecord
from spaceport.pipeline.tenants import Caller

JOB_ID: Final[TypeAdapter[str]] = TypeAdapter(JobId)
"""Of ids in paths and bodies, which are anybody's text."""


def visible_job(caller: Caller, job_id: str) -> JobRecord:
    """The row of a job that the caller may see.

    Raises:
        ValidationError: it can be no id.
        UnknownJob: there is none; of another's job in the same words, and after the same one read.
    """
    return visible_row(caller, job_id)[0]


def visible_row(caller: Caller, job_id: str) -> tuple[JobRecord, int]:
    """The same with the row's version."""
    row, version = table().get_versioned(JOB_ID.validate_python(job_id))
    is_visible = row and row.tenant == caller.tenant and (caller.sees_all or row.owner == caller.key)
    if row is None or not is_visible or row.deleted_at:
        raise UnknownJob(f"There is no job {job_id}.")
    return row, version


def job_to_handle(caller: Caller, job_id: str) -> JobRecord:
    """The row of a job that the caller may stop, continue and share.

    Raises:
        UnknownJob: as `visible_job`.
        Forbidden: another key began it.
    """
    row = visible_job(caller, job_id)
    if row.owner not in {None, caller.key} and not caller.is_admin:
        raise Forbidden(f"Another key of this account began the job {job_id}. Use that key or an admin key.")
    return row

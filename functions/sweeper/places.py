"""Places among a tenant's open jobs that nobody gave back: of jobs that have ended, or that never began.

Whoever records an end gives the place back. A function that is killed between the two does not, nor does one that is
killed after it took a place and before it wrote the job's first manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from functions.sweeper.sweep import Sweep
from spaceport.pipeline.contract import DEFAULT_TENANT
from spaceport.pipeline.jobs.births import read_birth
from spaceport.pipeline.jobs.quotas import Quotas
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.jobs.state import END_STATES
from spaceport.pipeline.storage import UnreadableManifest
from spaceport.pipeline.tenants import Tenants

BEGINNING = timedelta(minutes=10)
"""How long a job may have its id and no manifest: no function runs that long."""


def open_jobs(sweep: Sweep, tenants: Tenants) -> Iterator[tuple[str, str]]:
    """Tenant and job of each place that is taken."""
    quotas = Quotas(sweep.table)
    for tenant in sorted({DEFAULT_TENANT, *tenants.tenants}):
        for job_id in sorted(quotas.open_jobs(tenant)):
            yield tenant, job_id


def free_place(sweep: Sweep, tenant: str, job_id: str) -> str:
    """Give a place back if its job no longer needs it. Returns `freed` if so."""
    row = sweep.table.get(job_id)
    is_over = row.state in END_STATES if row else _never_began(sweep, job_id)
    if not is_over:
        return ""
    Quotas(sweep.table).release_job(tenant, job_id)
    return "freed"


def _never_began(sweep: Sweep, job_id: str) -> bool:
    if read_manifests(sweep.bucket, job_id):
        return False
    try:
        birth = read_birth(sweep.bucket, job_id)
    except UnreadableManifest:  # it is no birth: nothing can begin under this id
        return True
    return birth is None or birth.created_at < sweep.at - BEGINNING

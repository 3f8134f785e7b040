"""What each tenant uses of its limits: jobs at once and their dollars; bytes and mails a day.

Rows of the job table, under a partition that no job's id can be, `tenant#NAME`:

- `jobs`: `job_ids`, the jobs that have not ended, and `spent_usd`, what those begun on the day `spent_on` are estimated
  to cost. One conditional write takes both, so no two calls share the last place, and the same job is counted once.
- `bytes#DAY` and `mails#DAY`: `used`, and in `ids` what for, so that an event that comes twice is counted once.

Ids are added to sets and removed from them, so that nothing that happens twice or in another order matters. A job that
was reserved by a call that was killed before it began is removed by the sweeper. Dollars and bytes are not given back,
not even by a job that was stopped: its machines were paid for as far as it came, and a refund could be asked for
again and again. Days are UTC's.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from botocore.exceptions import ClientError

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.table import JobTable, condition_failed
from spaceport.pipeline.tenants import Limits

MAX_COUNTED: Final = 20_000
"""Uploads, and mails, that a tenant may have in a day at most: their ids must fit into a row of 400 KB."""
KEEP: Final = timedelta(days=40)
"""How long the row of a day is kept, for whoever wants to know what was used."""
ATTEMPTS: Final = 8
GB: Final = 1e9

_SAME_DAY: Final = "ADD job_ids :ids, spent_usd :usd"
_NEW_DAY: Final = "SET spent_on = :day, spent_usd = :usd ADD job_ids :ids"
_IS_SAME_DAY: Final = "spent_on >= :day AND spent_usd <= :room"
_IS_NEW_DAY: Final = "(attribute_not_exists(spent_on) OR spent_on < :day)"
_HAS_PLACE: Final = " AND NOT contains(job_ids, :id) AND (attribute_not_exists(job_ids) OR size(job_ids) < :places)"


class Reservation(Enum):
    """The answer of a daily counter."""

    MADE = "made"
    KNOWN = "known"
    """It was counted before: the call, or the event, comes again."""
    REFUSED = "refused"
    """The day's limit would be passed."""


class Quotas:
    """The counters of all tenants."""

    def __init__(self, table: JobTable) -> None:
        self._table = table.table
        self._now = table.now

    def open_jobs(self, tenant: str) -> frozenset[str]:
        """Jobs that are counted as not ended."""
        return frozenset(self._jobs_row(tenant).get("job_ids", ()))

    def reserve_job(self, tenant: str, limits: Limits, job_id: str, usd: float) -> None:
        """Take a place among the open jobs, and the job's estimated dollars of today's; once for each job.

        Raises:
            Refused: `over_quota`; nothing is taken.
        """
        if usd > limits.usd_per_day:
            raise _too_dear(limits, usd)
        for _ in range(ATTEMPTS):
            if self._take(tenant, limits, job_id, usd, _SAME_DAY, _IS_SAME_DAY):
                return
            row = self._jobs_row(tenant)
            job_ids = row.get("job_ids", frozenset())
            if job_id in job_ids:
                return
            if len(job_ids) >= limits.open_jobs:
                raise _too_many(limits)
            if str(row.get("spent_on", "")) < self._day():
                if self._take(tenant, limits, job_id, usd, _NEW_DAY, _IS_NEW_DAY):
                    return
            elif float(row.get("spent_usd", 0)) > limits.usd_per_day - usd:
                raise _too_dear(limits, usd)
        raise TimeoutError(f"the counters of {tenant} changed {ATTEMPTS} times while a job was reserved")

    def release_job(self, tenant: str, job_id: str) -> None:
        """The job has ended, or never began: its place is free. Idempotent."""
        self._table.update_item(
            Key=_key(tenant, "jobs"),
            UpdateExpression="DELETE job_ids :ids",
            ExpressionAttributeValues={":ids": {job_id}},
        )

    def restore_jobs(self, tenant: str, job_ids: set[str]) -> None:
        """Count jobs that are there, whatever the limit: after the counters were lost. Idempotent."""
        self._table.update_item(
            Key=_key(tenant, "jobs"), UpdateExpression="ADD job_ids :ids", ExpressionAttributeValues={":ids": job_ids}
        )

    def reserve_upload(self, tenant: str, limits: Limits, job_id: str, size: int) -> None:
        """Count the bytes of a job's upload, which are there already. Raises `Refused`: over_quota."""
        room = int(limits.gigabytes_per_day * GB)
        if self._count(tenant, "bytes", job_id, size, room) is Reservation.REFUSED:
            raise _too_large(limits)

    def reserve_mail(self, tenant: str, limits: Limits, mail: str) -> Reservation:
        """Count a mail. `mail` names it, so that it is counted once."""
        return self._count(tenant, "mails", mail, 1, limits.mails_per_day)

    def check_place(self, tenant: str, limits: Limits) -> None:
        """Refuse early, where there is no place among the open jobs. Takes none. Raises `Refused`: over_quota."""
        if len(self.open_jobs(tenant)) >= limits.open_jobs:
            raise _too_many(limits)

    def check_upload(self, tenant: str, limits: Limits, size: int) -> None:
        """Refuse early what would be refused after the upload. Takes nothing. Raises `Refused`: over_quota."""
        self.check_place(tenant, limits)
        used = self._row(tenant, f"bytes#{self._day()}").get("used", 0)
        if int(used) + size > limits.gigabytes_per_day * GB:
            raise _too_large(limits)

    def _take(self, tenant: str, limits: Limits, job_id: str, usd: float, update: str, condition: str) -> bool:
        values: dict[str, Any] = {
            ":ids": {job_id},
            ":id": job_id,
            ":usd": _decimal(usd),
            ":day": self._day(),
            ":places": limits.open_jobs,
        }
        if ":room" in condition:
            values[":room"] = _decimal(limits.usd_per_day - usd)
        return limits.open_jobs > 0 and self._update(_key(tenant, "jobs"), update, condition + _HAS_PLACE, values)

    def _count(self, tenant: str, kind: str, name: str, amount: int, limit: int) -> Reservation:
        record = f"{kind}#{self._day()}"
        short = hashlib.sha256(name.encode()).hexdigest()[:12]
        values = {
            ":amount": amount,
            ":ids": {short},
            ":id": short,
            ":room": limit - amount,
            ":most": MAX_COUNTED,
            ":end": int((self._now() + KEEP).timestamp()),
        }
        is_counted = amount <= limit and self._update(
            _key(tenant, record),
            "ADD used :amount, ids :ids SET expiration = :end",
            "NOT contains(ids, :id) AND (attribute_not_exists(used) OR (used <= :room AND size(ids) < :most))",
            values,
        )
        if is_counted:
            return Reservation.MADE
        is_known = short in self._row(tenant, record).get("ids", ())
        return Reservation.KNOWN if is_known else Reservation.REFUSED

    def _update(self, key: dict[str, str], update: str, condition: str, values: dict[str, Any]) -> bool:
        try:
            self._table.update_item(
                Key=key, UpdateExpression=update, ConditionExpression=condition, ExpressionAttributeValues=values
            )
        except ClientError as error:
            if not condition_failed(error):
                raise
            return False
        return True

    def _jobs_row(self, tenant: str) -> dict[str, Any]:
        return self._row(tenant, "jobs")

    def _row(self, tenant: str, record: str) -> dict[str, Any]:
        response = self._table.get_item(Key=_key(tenant, record), ConsistentRead=True)
        return dict(response.get("Item", {}))

    def _day(self) -> str:
        return self._now().date().isoformat()


def _key(tenant: str, record: str) -> dict[str, str]:
    return {"job_id": f"tenant#{tenant}", "record": record}


def _decimal(usd: float) -> Decimal:
    return Decimal(str(round(usd, 6)))


def _too_many(limits: Limits) -> Refused:
    detail = f"{limits.open_jobs} unfinished jobs at once. Wait until one has ended, or stop one"
    return Refused(Slug.OVER_QUOTA, detail=detail)


def _too_dear(limits: Limits, usd: float) -> Refused:
    detail = (
        f"jobs of ${limits.usd_per_day:,.2f} a day, of which this one is estimated to cost ${usd:,.2f}."
        " Start it tomorrow (UTC), or with a cheaper preset"
    )
    return Refused(Slug.OVER_QUOTA, detail=detail)


def _too_large(limits: Limits) -> Refused:
    detail = (
        f"uploads of {limits.gigabytes_per_day:,.9g} GB a day, or {MAX_COUNTED:,} of them. Upload it tomorrow (UTC)"
    )
    return Refused(Slug.OVER_QUOTA, detail=detail)

"""The audit log: one row for each write through the API, and for each time that links to results were handed out.

Rows of the job table, under a partition that no job's id can be, `audit#TENANT#DAY`, sorted by time. They are only ever
added, and kept for `KEEP`. A row is written before what it is about is done: what cannot be audited is not done. So a
row says that it was tried, the log of the functions how it went; otherwise whoever can make writes to the table fail,
or is lucky to call while they fail, would act unseen.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

from spaceport.pipeline.jobs.table import JobTable

KEEP: Final = timedelta(days=400)
NOBODY: Final = "-"
"""In place of the id of an API key, where there was none: a link in a mail, or the service itself."""


def audit(table: JobTable, tenant: str, action: str, subject: str, *, key: str = NOBODY, source: str = NOBODY) -> None:
    """Add a row. Raises botocore's `ClientError` when that is impossible: then do not do it.

    Args:
        action: what is tried, such as `POST /stop-job`.
        subject: on what: a job, an upload, an address.
        key: the id of the caller's API key.
        source: the caller's IP address.
    """
    at = table.now()
    table.table.put_item(
        Item={
            "job_id": f"audit#{tenant}#{at.date().isoformat()}",
            "record": f"{at.isoformat(timespec='milliseconds')}#{secrets.token_hex(8)}",
            "action": action,
            "subject": subject,
            "key_id": key,
            "source_ip": source,
            "expiration": int((at + KEEP).timestamp()),
        },
        ConditionExpression="attribute_not_exists(job_id)",
    )

"""Links that show one job to whoever has them: capabilities, each with a scope, an end, and a withdrawal.

A token is `JOB.SECRET`, 256 random bits that are shown once. What it opens is `jobs/ID/shares/SHA256.json`, by the hash
of the secret: in the bucket as all truth is, so that links outlive the table, and end with the job's files at the
latest. A share is withdrawn by a word in that object, so no one needs the right to delete it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from spaceport.pipeline import layout
from spaceport.pipeline.contract import JOB_ID_PATTERN, SCHEMA_VERSION, JobId, now
from spaceport.pipeline.errors import Conflict
from spaceport.pipeline.storage import Bucket

SECRET_BYTES: Final = 32
DEFAULT_DAYS: Final = 30
MAX_SHARES: Final = 100
"""Of a job, withdrawn and expired ones among them."""
MAX_BYTES: Final = 4 << 10
_TOKEN: Final = re.compile(rf"(?P<job>{JOB_ID_PATTERN.strip('^$')})\.(?P<secret>[A-Za-z0-9_-]{{43}})")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Scope(StrEnum):
    """What a share lets its holder do; each may what those before it may."""

    LOOK = "look"
    """See name, pictures and model."""
    REPORT = "report"
    """Read what the stages measured."""
    DOWNLOAD = "download"
    """Keep the model's files."""

    def allows(self, other: Scope) -> bool:
        scopes = list(Scope)
        return scopes.index(other) <= scopes.index(self)


class Share(BaseModel):
    """One share, as it is in the bucket."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = SCHEMA_VERSION
    job_id: JobId
    id: Annotated[str, Field(pattern=f"^{_DIGEST.pattern}$")]
    """SHA-256 of the token's secret, in hex: no secret itself."""
    may: Scope = Scope.LOOK
    positions: bool = False
    """Whether the report says where on the earth the photos were taken."""
    label: Annotated[str, Field(max_length=200)] = ""
    """The owner's own note; holders do not see it."""
    created_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None = None
    mailed: bool = False
    """Whether the mail at the end of the job has it. Of these there is one at most."""

    def works(self) -> bool:
        return self.withdrawn_at is None and now() < self.expires_at


class InvalidShare(Exception):
    """A token that opens nothing: wrong, expired or withdrawn. Which of these is nobody's business."""


def new_share(bucket: Bucket, job_id: str, days: int, may: Scope, label: str, *, positions: bool) -> tuple[Share, str]:
    """Make a share of a job. Returns it with its token, which nobody can make again.

    Raises:
        Conflict: the job has too many.
    """
    if sum(1 for _ in bucket.list_objects(layout.shares_prefix(job_id))) >= MAX_SHARES:
        raise Conflict(
            f"Job {job_id} was shared {MAX_SHARES} times, and cannot be shared again. Use a link that works."
        )
    share, token = draft_share(job_id, days, may, label, positions=positions)
    save_share(bucket, share)
    return share, token


def draft_share(
    job_id: str, days: int, may: Scope, label: str, *, positions: bool = False, mailed: bool = False
) -> tuple[Share, str]:
    """A share and its token. It opens nothing until it is saved."""
    secret, at = secrets.token_urlsafe(SECRET_BYTES), now()
    share = Share(
        job_id=job_id,
        id=_digest(secret),
        may=may,
        positions=positions,
        label=label,
        created_at=at,
        expires_at=at + timedelta(days=days),
        mailed=mailed,
    )
    return share, f"{job_id}.{secret}"


def save_share(bucket: Bucket, share: Share) -> None:
    bucket.put_small(layout.share_key(share.job_id, share.id), share.model_dump_json(indent=1).encode())


def list_shares(bucket: Bucket, job_id: str) -> list[Share]:
    """The shares of a job that work, the newest first."""
    working = (share for share in _all(bucket, job_id) if share.works())
    return sorted(working, key=lambda it: it.created_at, reverse=True)


def has_mailed_share(bucket: Bucket, job_id: str) -> bool:
    """Whether a mail with a share of this job has been sent, whatever became of the share."""
    return any(share.mailed for share in _all(bucket, job_id))


def withdraw_share(bucket: Bucket, job_id: str, share_id: str) -> Share | None:
    """Let a share work no more. Idempotent. None where there is none of this id."""
    share = _read(bucket, job_id, share_id)
    if share and share.withdrawn_at is None:
        share = share.model_copy(update={"withdrawn_at": now()})
        save_share(bucket, share)
    return share


def share_of_token(bucket: Bucket, token: str) -> Share:
    """The share that a token opens. Raises `InvalidShare`."""
    match = _TOKEN.fullmatch(token)
    share = _read(bucket, match["job"], _digest(match["secret"])) if match else None
    if share is None or not share.works():
        raise InvalidShare
    return share


def _all(bucket: Bucket, job_id: str) -> Iterator[Share]:
    digests = [
        item.key.rpartition("/")[2][: -len(".json")] for item in bucket.list_objects(layout.shares_prefix(job_id))
    ]
    shares = (_read(bucket, job_id, digest) for digest in digests[: MAX_SHARES + 1])
    return (share for share in shares if share)


def _read(bucket: Bucket, job_id: str, digest: str) -> Share | None:
    """A share; None too when it is unreadable, or is not the one that its key names."""
    if not _DIGEST.fullmatch(digest):
        return None
    try:
        raw = bucket.read_small(layout.share_key(job_id, digest), MAX_BYTES)
        share = None if raw is None else Share.model_validate_json(raw)
    except ValueError:  # a ValidationError is one too
        return None
    return share if share and (share.job_id, share.id) == (job_id, digest) else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

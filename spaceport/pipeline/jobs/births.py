"""How a job gets its id: once, by an object that is written once. Every way to begin a job goes through here.

`jobs/ID/birth.json` says whose the id is, and its source: what it was born for. The same source that asks again, after
a kill or at the same time, has the same id; for any other the id is taken. The birth of an upload's job is also kept
under its source, so that one upload is one job, whoever asks first: its event, `start-job`, or a recovery.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from pydantic import ValidationError

from spaceport.pipeline import layout
from spaceport.pipeline.contract import Birth, Upload, now
from spaceport.pipeline.errors import Conflict
from spaceport.pipeline.storage import Bucket, UnreadableManifest

MAX_BYTES = 16 << 10
DIGITS, LONG_DIGITS = 10, 23  # with a title of 40 letters, the longest id has 64


def new_job_id(title: str, token: str, digits: int = DIGITS) -> str:
    """Readable and unique: the title in plain letters, then hex digits of a hash of `token`."""
    plain = re.sub(r"[^a-z0-9]+", "-", title.lower())[:40].strip("-") or "survey"
    return f"{plain}-{hashlib.sha256(token.encode()).hexdigest()[:digits]}"


def signed_source(bucket: str, key: str) -> str:
    """Of a job whose upload was signed and has not arrived: whichever comes first under this key."""
    return f"signed:{bucket}/{key}"


def upload_source(upload: Upload) -> str:
    """Of the job of one upload: what is put under the same key later is another."""
    return f"upload:{upload.bucket}/{upload.key}@{upload.version_id or upload.etag}"


def bear(bucket: Bucket, job_id: str, source: str, tenant: str, owner: str | None) -> Birth:
    """Take an id.

    Raises:
        Conflict: it was taken for another source.
    """
    birth = _bear(bucket, Birth(job_id=job_id, tenant=tenant, owner=owner, source=source, created_at=now()))
    if birth is None or birth.source != source:
        raise Conflict.of_taken_id(job_id)
    return birth


def bear_of_upload(
    bucket: Bucket, upload: Upload, title: str, tenant: str, *, owner: str | None, sent: str | None, wanted: str | None
) -> Birth:
    """The birth of the one job of an upload. Its owner is who had the upload signed, if anyone had, or else `owner`.

    Args:
        title: of the upload, for an id that is made.
        tenant: whose the upload is.
        sent: the id that came with the upload. Another is made where it is not the upload's to take.
        wanted: the id of an API call.

    Raises:
        Conflict: `wanted` was taken for another source. The upload has its job all the same.
    """
    source = upload_source(upload)
    key = layout.birth_of_source_key(source)
    birth = _read(bucket, key)
    if birth is None:
        born = _bear_first(bucket, upload, _ids(title, upload, sent, wanted), tenant, owner)
        birth = _put_or_read(bucket, key, born)
    if wanted and wanted != birth.job_id and is_taken(bucket, wanted):
        other = read_birth(bucket, wanted)
        if other is None or other.source != source:  # else it was born at the same time, for the same upload
            raise Conflict.of_taken_id(wanted)
    return birth


def _bear_first(bucket: Bucket, upload: Upload, ids: Iterator[str], tenant: str, owner: str | None) -> Birth:
    """The birth of the first id that an upload may take."""
    source, signed = upload_source(upload), signed_source(upload.bucket, upload.key)
    for job_id in ids:
        birth = _bear(bucket, Birth(job_id=job_id, tenant=tenant, owner=owner, source=source, created_at=now()))
        if birth and birth.tenant == tenant and birth.source == signed:
            owner = birth.owner  # of all that comes with this signature, though only the first has the id
            arrived = birth.model_copy(update={"source": source})
            birth = _put_or_read(bucket, layout.birth_of_source_key(signed), arrived)
        if birth and birth.tenant == tenant and birth.source == source:
            return birth
    raise Conflict.of_taken_id(source)


def erase_birth_of_upload(bucket: Bucket, job_id: str, upload: Upload) -> int:
    """Delete what is kept of a job's birth under its upload. Returns the number of objects."""
    keys = map(layout.birth_of_source_key, (upload_source(upload), signed_source(upload.bucket, upload.key)))
    births = {key: _read(bucket, key) for key in keys}
    return sum(bucket.erase(key) for key, birth in births.items() if birth and birth.job_id == job_id)


def read_birth(bucket: Bucket, job_id: str) -> Birth | None:
    """The birth of a job's id; None when there is none. Raises `UnreadableManifest`."""
    return _read(bucket, layout.birth_key(job_id))


def is_taken(bucket: Bucket, job_id: str) -> bool:
    return bucket.has_any(layout.job_prefix(job_id))


def _ids(title: str, upload: Upload, sent: str | None, wanted: str | None) -> Iterator[str]:
    """Ids for the job of an upload, the best first. The last is so long that nobody can have taken it on purpose."""
    yield from filter(None, (sent, wanted))
    yield new_job_id(title, upload_source(upload))
    yield new_job_id(title, upload_source(upload), LONG_DIGITS)


def _bear(bucket: Bucket, birth: Birth) -> Birth | None:
    """The birth that stands for an id; None where it cannot be read, or the job was made when there were no births."""
    key = layout.birth_key(birth.job_id)
    try:
        return _read(bucket, key) if is_taken(bucket, birth.job_id) else _put_or_read(bucket, key, birth)
    except UnreadableManifest:
        return None


def _put_or_read(bucket: Bucket, key: str, birth: Birth) -> Birth:
    """Write a birth, unless there is one. Returns the one that stands."""
    if bucket.put_once(key, birth.model_dump_json(indent=1).encode()):
        return birth
    return _read(bucket, key) or birth


def _read(bucket: Bucket, key: str) -> Birth | None:
    """Raises `UnreadableManifest`."""
    try:
        raw = bucket.read_small(key, MAX_BYTES)
        return None if raw is None else Birth.model_validate_json(raw)
    except ValidationError:
        raise UnreadableManifest(key, "is no birth of a job") from None
    except ValueError as error:
        raise UnreadableManifest(key, f"is larger than {MAX_BYTES} bytes") from error

"""What a user submits along with the photos, from wherever it comes. Everything is untrusted and may be missing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from spaceport.pipeline.contract import JOB_ID_PATTERN
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import validation_message

MAX_NAME: Final = 200
_JOB_ID: Final = re.compile(JOB_ID_PATTERN)
_EMAIL: Final = re.compile(r"[^@\s<>\"',;:]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_OBJECT: Final = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class Submission:
    """A user's wishes. `email` may be no address, and `options` are not validated yet."""

    name: str | None = None
    email: str | None = None
    owner: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    job_id: str | None = None


class _OptionsFile(BaseModel):
    """`spaceport.json` with a part for options."""

    model_config = ConfigDict(extra="ignore")

    name: str | None = None
    email: str | None = None
    options: dict[str, Any] | None = None


def parse_json_object(raw: str | bytes, source: str) -> dict[str, Any]:
    """JSON from outside: an object, nested as deep as any options are and not much deeper, its strings valid Unicode.

    Args:
        source: what it is called in the refusal.

    Raises:
        Refused: bad_options.
    """
    try:
        return _OBJECT.validate_json(raw)
    except ValidationError as error:
        kinds = {item["type"] for item in error.errors(include_input=False)}
        wrong = "is not valid JSON" if "json_invalid" in kinds else "must hold a JSON object"
        raise Refused(Slug.BAD_OPTIONS, detail=f"{source} {wrong}") from None


def parse_options_file(raw: bytes | None) -> Submission:
    """`spaceport.json` in the zip: `{"name", "email", "options": {…}}`, or the options alone.

    Raises:
        Refused: bad_options.
    """
    if raw is None:
        return Submission()
    document = parse_json_object(raw, "`spaceport.json`")
    if "options" not in document:
        about = {name: document.pop(name) for name in ("name", "email") if name in document}
        document = about | {"options": document}
    try:
        parsed = _OptionsFile.model_validate(document)
    except ValidationError as error:
        raise Refused(Slug.BAD_OPTIONS, detail=f"in `spaceport.json`, {validation_message(error)}") from None
    name = parsed.name[:MAX_NAME] if parsed.name else None
    return Submission(name=name, email=parsed.email, options=parsed.options or {})


def parse_metadata(metadata: dict[str, str]) -> Submission:
    """`x-amz-meta-email`, `-job-name` (percent-encoded) and `-job-id` of an upload, without its options.

    Whose it is, no metadata says: its folder names the tenant, and the birth of a signed upload the owner.
    """
    job_id = metadata.get("job-id", "")
    return Submission(
        name=unquote_plus(metadata.get("job-name", "")) or None,
        email=metadata.get("email"),
        job_id=job_id if _JOB_ID.fullmatch(job_id) else None,
    )


def parse_metadata_options(metadata: dict[str, str]) -> dict[str, Any]:
    """`x-amz-meta-options` of an upload: JSON. Raises `Refused`: bad_options."""
    return parse_json_object(metadata.get("options") or "{}", "the upload's `options` metadata")


def valid_email(text: object) -> str | None:
    """An address that SES accepts, or None: a job is not refused for a mistyped address."""
    return text if isinstance(text, str) and len(text) <= 254 and _EMAIL.fullmatch(text) else None

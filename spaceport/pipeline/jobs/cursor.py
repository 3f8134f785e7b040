"""Where a list of jobs goes on. It names a place in the list and not whose list it is, so it opens nothing."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spaceport.pipeline.contract import JobId
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.state import JobRecord

MAX_CURSOR: Final = 400  # characters: the longest has 160


class Cursor(BaseModel):
    """The place behind one job, in a list by when their rows were written, the newest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    updated_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT[\d:.]{8,20}Z$")]
    job_id: JobId

    @classmethod
    def behind(cls, row: JobRecord) -> Cursor:
        return cls(updated_at=row.model_dump(mode="json")["updated_at"], job_id=row.job_id)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises `Refused`: bad_options."""
        try:
            return cls.model_validate_json(urlsafe_b64decode(text[:MAX_CURSOR].encode()))
        except (ValidationError, binascii.Error):
            raise Refused(Slug.BAD_OPTIONS, detail="`cursor` is none of this list") from None

    def __str__(self) -> str:
        return urlsafe_b64encode(self.model_dump_json().encode()).decode()

    def start_key(self, record: str) -> dict[str, Any]:
        """The part of DynamoDB's `ExclusiveStartKey` that is not the index' own."""
        return {"job_id": self.job_id, "record": record, "updated_at": self.updated_at}

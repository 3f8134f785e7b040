"""Refuses an upload of which too few photos can be used, with what is wrong with the others and what to do."""

from __future__ import annotations

from typing import Final

from services.sfm.photos.ingest import IngestResult
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.reports.sfm import Verdict
from spaceport.pipeline.uploads.photo_zip import MIN_PHOTOS

_OPEN: Final = "Check that the files open on your own computer and upload them again."


def require_enough_photos(ingested: IngestResult) -> None:
    """Check that there are photos enough for a model.

    Raises:
        Refused: unsuitable_photos where panoramas, fisheyes or videos without motion are the reason;
            no_readable_images where files cannot be read.
    """
    usable, total = len(ingested.readable), len(ingested.photos)
    if usable >= MIN_PHOTOS:
        return
    reasons = [finding.sentence for finding in ingested.findings if finding.level is Verdict.WARN]
    unreadable = [photo for photo in ingested.unreadable if not photo.is_unsuitable]
    if reasons and len(unreadable) <= total / 2:
        raise Refused(Slug.UNSUITABLE_PHOTOS, count=usable, total=total, limit=MIN_PHOTOS, why=" ".join(reasons))
    why = f"{unreadable[0].name}: {unreadable[0].reason}. {_OPEN}" if unreadable else _OPEN
    raise Refused(Slug.NO_READABLE_IMAGES, count=usable, total=total, limit=MIN_PHOTOS, why=why)

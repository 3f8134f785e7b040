"""The mail at the end of a job: subject, plain text and HTML. Pure: no AWS, no clock.

Whatever a user wrote is untrusted, and goes to an address that a user chose: control characters never reach a header,
HTML is escaped, nothing of it reads as an address that a mail client would make a link of, and of an upload that was
refused the subject says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.links import DAY, Link
from functions.mails import PICTURE_ID, Mail
from functions.notify.mail_html import Button, Content, html_of
from spaceport.pipeline.contract import EndManifest, JobState
from spaceport.pipeline.errors import Slug
from spaceport.pipeline.jobs.state import JobRecord

SUBJECTS: dict[JobState, str] = {
    JobState.COMPLETED: "Your 3D model of “{name}” is ready",
    JobState.COMPLETED_DEGRADED: "Your 3D model of “{name}” is ready, but not compressed",
    JobState.FAILED: "“{name}” could not be made into a 3D model",
    JobState.REJECTED: "An upload could not be used",
    JobState.STOPPED: "“{name}” was stopped",
}
UPLOAD_AGAIN = "Nothing was charged. Correct it and upload again."
UPLOAD_LATER = "Nothing was charged. Upload it again when there is room."
GO_ON = "What was finished is kept. The job's page goes on from there."
RETRY = "What was finished is kept. Whoever runs this service can resume from there: spaceport retry {job}"
LOOK = "Look at the model"
LOOK_DEGRADED = "See pictures and report"
SHARE_HINT = (
    "The link works for {days} days and needs no account: whoever has this mail can look at the model and read the "
    "report. The job's page withdraws it."
)
OPEN_JOB = "Open the job's page"

_NO_DOMAIN: Final = frozenset(
    {
        "jpg",
        "jpeg",
        "png",
        "tif",
        "tiff",
        "heic",
        "heif",
        "dng",
        "webp",
        "avi",
        "mp4",
        "txt",
        "csv",
        "json",
        "ply",
        "sog",
    }
)
"""Ends of file names that are no top-level domains, unlike `.zip` and `.mov`."""
_DOT: Final = re.compile(r"(?<=[\w-])([.。．｡])(?=([^\W\d_][\w-]+))")


@dataclass(frozen=True)
class Pages:
    """Where the page shows the job; None where no page is served."""

    job: str | None = None
    """For its owner, who has a key."""
    share: str | None = None
    """For whoever has the mail."""
    share_days: int = 0
    """How long that works."""


def write_mail(
    end: EndManifest,
    record: JobRecord,
    links: Sequence[Link],
    expires_seconds: int,
    pages: Pages = Pages(),
    picture: bytes | None = None,
) -> Mail:
    """The mail that tells the owner how the job ended.

    Args:
        record: the job's row, made from all its manifests.
        links: to the models, if there are any.
        expires_seconds: how long the links work at most.
        picture: of the model, a JPEG.
    """
    name = unlinked(_one_line(end.request.name))
    about = f"Upload: “{name}”" if end.state is JobState.REJECTED else ""
    content = Content(
        title=SUBJECTS[end.state].format(name=name),
        picture=Button(f"Picture of the 3D model of “{name}”", pages.share or pages.job or "") if picture else None,
        picture_id=PICTURE_ID,
        lines=[unlinked(end.message), about, _advice(end, record, pages)],
        button=_button(end.state, pages),
        under_button=SHARE_HINT.format(days=pages.share_days) if pages.share else "",
        downloads=[(Button(f"Download the {link.label}", link.url), size(link.bytes)) for link in links],
        hint=_hint(end.job_id, expires_seconds, pages.job) if links else "",
        figures=figures(record),
        page=Button(OPEN_JOB, pages.job) if pages.job and pages.share else None,
    )
    return Mail(content.title, _text(content), html_of(content), picture)


def unlinked(text: str) -> str:
    """`text` with `[.]` and `[:]` where a mail client would make a link: `https[:]//evil[.]example`."""
    broken = _DOT.sub(lambda dot: dot[1] if dot[2].lower() in _NO_DOMAIN else f"[{dot[1]}]", text)
    return broken.replace("://", "[:]//")


def _button(state: JobState, pages: Pages) -> Button | None:
    if pages.share:
        return Button(LOOK if state is JobState.COMPLETED else LOOK_DEGRADED, pages.share)
    return Button(OPEN_JOB, pages.job) if pages.job else None


def _advice(end: EndManifest, record: JobRecord, pages: Pages) -> str:
    """What can be done next, beyond what the failure's own sentence says."""
    if end.state is JobState.REJECTED:
        is_over_quota = end.failure is not None and end.failure.slug is Slug.OVER_QUOTA
        return UPLOAD_LATER if is_over_quota else UPLOAD_AGAIN
    if end.state not in {JobState.FAILED, JobState.STOPPED} or not record.outputs:
        return ""
    return GO_ON if pages.job else RETRY.format(job=end.job_id)


def figures(record: JobRecord) -> dict[str, str]:
    """What was measured, as labels and values; only what there is."""
    counts, quality = record.counts, record.quality
    labelled: dict[str, str] = {}
    if "registered" in counts:
        labelled["Photos placed"] = f"{counts['registered']} of {counts.get('photos', '?')}"
    elif counts.get("photos"):
        labelled["Photos"] = str(counts["photos"])
    if "gaussians" in counts:
        labelled["Gaussians"] = f"{counts['gaussians']:,}"
    if "psnr_held_out" in quality:
        labelled["Likeness to held-out photos"] = f"{quality['psnr_held_out']:.1f} dB PSNR"
    if "sog_psnr" in quality:
        labelled["Compressed against full model"] = f"{quality['sog_psnr']:.1f} dB PSNR"
    if record.seconds:
        labelled["Computing time"] = duration(sum(record.seconds.values()))
    if any(record.cost_usd.values()):
        estimated = sum(record.estimate_usd.get(stage, 0.0) for stage in record.cost_usd)
        labelled["Cost"] = f"${sum(record.cost_usd.values()):.2f}, estimated ${estimated:.2f}"
    labelled["Job"] = record.job_id
    return labelled


def duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def _hint(job_id: str, expires_seconds: int, page: str | None) -> str:
    span = f"{expires_seconds // DAY} days" if expires_seconds >= 2 * DAY else f"{expires_seconds // 3600} hours"
    again = "the job's page has new ones" if page else f"the API gives new ones (GET /jobs/{job_id})"
    return f"The downloads work for up to {span}. After that, {again}."


def _text(content: Content) -> str:
    buttons = [f"{content.button.label}:\n{content.button.url}"] if content.button else []
    downloads = [f"{button.label}, {size}:\n{button.url}" for button, size in content.downloads]
    table = "\n".join(f"{name}: {value}" for name, value in content.figures.items())
    page = f"{content.page.label}: {content.page.url}" if content.page else ""
    parts = (*content.lines, *buttons, content.under_button, *downloads, content.hint, table, page)
    return "\n\n".join(part for part in parts if part) + "\n"


def _one_line(text: str) -> str:
    """Safe for a header: no line breaks, and short."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())
    return line if len(line) <= 80 else f"{line[:79]}…"

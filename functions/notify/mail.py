"""The mail at the end of a job: subject, plain text and HTML. Pure: no AWS, no clock.

Whatever a user wrote is untrusted, and goes to an address that a user chose: control characters never reach a header,
HTML is escaped, nothing of it reads as an address that a mail client would make a link of, and of an upload that was
refused the subject says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final

from functions.links import DAY, Link
from functions.mails import Mail
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
RETRY = "What was finished is kept. Whoever runs this service can resume from there: spaceport retry {job}"

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


def write_mail(
    end: EndManifest, record: JobRecord, links: Sequence[Link], expires_seconds: int, page: str | None
) -> Mail:
    """The mail that tells the owner how the job ended.

    Args:
        record: the job's row, made from all its manifests.
        links: to the models, if there are any.
        expires_seconds: how long the links work at most.
        page: the address of the job's page, if one is served.
    """
    name = unlinked(_one_line(end.request.name))
    subject = SUBJECTS[end.state].format(name=name)
    about = f"Upload: “{name}”" if end.state is JobState.REJECTED else ""
    lines = [unlinked(end.message), about, _advice(end, record)]
    table = figures(record)
    hint = _hint(end.job_id, expires_seconds, page) if links else (f"See the job at {page}" if page else "")
    return Mail(subject, _text(lines, links, hint, table), _html(subject, lines, links, hint, table))


def unlinked(text: str) -> str:
    """`text` with `[.]` and `[:]` where a mail client would make a link: `https[:]//evil[.]example`."""
    broken = _DOT.sub(lambda dot: dot[1] if dot[2].lower() in _NO_DOMAIN else f"[{dot[1]}]", text)
    return broken.replace("://", "[:]//")


def _advice(end: EndManifest, record: JobRecord) -> str:
    """What can be done next, beyond what the failure's own sentence says."""
    if end.state is JobState.REJECTED:
        is_over_quota = end.failure is not None and end.failure.slug is Slug.OVER_QUOTA
        return UPLOAD_LATER if is_over_quota else UPLOAD_AGAIN
    unfinished = end.state in {JobState.FAILED, JobState.STOPPED}
    return RETRY.format(job=end.job_id) if unfinished and record.outputs else ""


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
    again = f"open {page}" if page else f"the API gives new ones (GET /jobs/{job_id})"
    return f"The links work for up to {span}. After that, {again}."


def _text(lines: Sequence[str], links: Sequence[Link], hint: str, figures: dict[str, str]) -> str:
    downloads = [f"Download the {link.label}, {size(link.bytes)}:\n{link.url}" for link in links]
    table = "\n".join(f"{name}: {value}" for name, value in figures.items())
    return "\n\n".join(part for part in (*lines, *downloads, hint, table) if part) + "\n"


def _html(subject: str, lines: Sequence[str], links: Sequence[Link], hint: str, figures: dict[str, str]) -> str:
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
    downloads = "".join(
        f'<p><a href="{escape(link.url)}" style="color:#0b57d0;font-weight:600">Download the {escape(link.label)}</a>'
        f" ({size(link.bytes)})</p>"
        for link in links
    )
    rows = "".join(
        f'<tr><td style="padding:2px 16px 2px 0;color:#5f6368">{escape(name)}</td><td>{escape(value)}</td></tr>'
        for name, value in figures.items()
    )
    note = f'<p style="color:#5f6368">{escape(hint)}</p>' if hint else ""
    return (
        '<!doctype html><html lang="en"><body style="font:16px/1.5 system-ui,sans-serif;color:#202124;max-width:36em">'
        f'<h1 style="font-size:20px">{escape(subject)}</h1>{paragraphs}{downloads}{note}'
        f"<table>{rows}</table></body></html>"
    )


def _one_line(text: str) -> str:
    """Safe for a header: no line breaks, and short."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())
    return line if len(line) <= 80 else f"{line[:79]}…"

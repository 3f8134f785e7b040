"""The mail at the end of a job: subject, plain text and HTML. Pure: no AWS, no clock.

All that a user wrote is hostile here: control characters never reach a header, and HTML is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from functions.links import DAY, Link
from spaceport.pipeline.contract import EndManifest, JobState
from spaceport.pipeline.jobs.state import JobRecord

SUBJECTS: dict[JobState, str] = {
    JobState.COMPLETED: "Your 3D model of “{name}” is ready",
    JobState.COMPLETED_DEGRADED: "Your 3D model of “{name}” is ready, but not compressed",
    JobState.FAILED: "“{name}” could not be made into a 3D model",
    JobState.REJECTED: "“{name}”: the upload could not be used",
    JobState.STOPPED: "“{name}” was stopped",
}
UPLOAD_AGAIN = "Nothing was charged. Put it right and upload again."
GO_ON = "What was finished is kept. Whoever runs this service can go on from there: spaceport retry {job}"


@dataclass(frozen=True)
class Mail:
    """What SES is given."""

    subject: str
    text: str
    html: str


def write_mail(end: EndManifest, record: JobRecord, links: Sequence[Link], lasting: int, page: str | None) -> Mail:
    """Tell the owner how the job ended.

    Args:
        record: the job's row, made from all its manifests.
        links: to the models, if there are any.
        lasting: for how many seconds the links work at most.
        page: where the job can be looked at, if a page is served.
    """
    subject = SUBJECTS[end.state].format(name=_one_line(end.request.name))
    advice = _advice(end, record)
    lines = [end.message, advice]
    facts = figures(record)
    hint = _hint(end.job_id, lasting, page) if links else (f"See the job at {page}" if page else "")
    return Mail(subject, _text(lines, links, hint, facts), _html(subject, lines, links, hint, facts))


def _advice(end: EndManifest, record: JobRecord) -> str:
    """What can be done next, beyond what the failure's own sentence says."""
    if end.state is JobState.REJECTED:
        return UPLOAD_AGAIN
    unfinished = end.state in {JobState.FAILED, JobState.STOPPED}
    return GO_ON.format(job=end.job_id) if unfinished and record.outputs else ""


def figures(record: JobRecord) -> dict[str, str]:
    """What was measured, in words; only what there is."""
    counts, quality = record.counts, record.quality
    facts: dict[str, str] = {}
    if "registered" in counts:
        facts["Photos placed"] = f"{counts['registered']} of {counts.get('photos', '?')}"
    elif counts.get("photos"):
        facts["Photos"] = str(counts["photos"])
    if "gaussians" in counts:
        facts["Gaussians"] = f"{counts['gaussians']:,}"
    if "psnr_held_out" in quality:
        facts["Likeness to photos kept aside"] = f"{quality['psnr_held_out']:.1f} dB PSNR"
    if "sog_psnr" in quality:
        facts["Compressed against full model"] = f"{quality['sog_psnr']:.1f} dB PSNR"
    if record.seconds:
        facts["Computing time"] = duration(sum(record.seconds.values()))
        facts["Cost of the machines"] = f"${sum(record.cost_usd.values()):.2f}"
    facts["Job"] = record.job_id
    return facts


def duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def _hint(job_id: str, lasting: int, page: str | None) -> str:
    span = f"{lasting // DAY} days" if lasting >= 2 * DAY else f"{lasting // 3600} hours"
    again = f"open {page}" if page else f"the API gives new ones (GET /jobs/{job_id})"
    return f"The links work for up to {span}. After that, {again}."


def _text(lines: Sequence[str], links: Sequence[Link], hint: str, facts: dict[str, str]) -> str:
    offers = [f"Download the {link.label}, {size(link.bytes)}:\n{link.url}" for link in links]
    table = "\n".join(f"{name}: {value}" for name, value in facts.items())
    return "\n\n".join(part for part in (*lines, *offers, hint, table) if part) + "\n"


def _html(subject: str, lines: Sequence[str], links: Sequence[Link], hint: str, facts: dict[str, str]) -> str:
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in lines if line)
    offers = "".join(
        f'<p><a href="{escape(link.url)}" style="color:#0b57d0;font-weight:600">Download the {escape(link.label)}</a>'
        f" ({size(link.bytes)})</p>"
        for link in links
    )
    rows = "".join(
        f'<tr><td style="padding:2px 16px 2px 0;color:#5f6368">{escape(name)}</td><td>{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    note = f'<p style="color:#5f6368">{escape(hint)}</p>' if hint else ""
    return (
        '<!doctype html><html lang="en"><body style="font:16px/1.5 system-ui,sans-serif;color:#202124;max-width:36em">'
        f'<h1 style="font-size:20px">{escape(subject)}</h1>{paragraphs}{offers}{note}'
        f"<table>{rows}</table></body></html>"
    )


def _one_line(text: str) -> str:
    """A header cannot be broken out of with a line break, and stays short."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())
    return line if len(line) <= 80 else f"{line[:79]}…"

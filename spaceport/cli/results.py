"""A job's results: its files on this machine, and a summary of how good they are."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.table import Table

from spaceport.pipeline import layout
from spaceport.pipeline.contract import DEFAULT_TENANT, TITLES, JobState, StageManifest, StageName
from spaceport.pipeline.jobs.recovery import read_manifests
from spaceport.pipeline.jobs.state import JobRecord
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.text import visible

# What people want on their own disk: the models, the pictures and the reports; not the photos again.
DOWNLOADED = ("compressed/", "gaussian/", "colmap/report.", "colmap/georeference.json", "colmap/sparse/")

MAX_MESSAGE = 2000
EXIT_CODES: dict[JobState, int] = {
    JobState.COMPLETED: 0,
    JobState.COMPLETED_DEGRADED: 3,
    JobState.FAILED: 1,
    JobState.REJECTED: 1,
    JobState.STOPPED: 130,
}


def download_results(bucket: Bucket, job_id: str, folder: Path) -> list[Path]:
    """Download a job's results to `folder`, checked against their sha256. Returns the files."""
    artefacts = {}
    for stored in read_manifests(bucket, job_id):
        if isinstance(stored.manifest, StageManifest):
            for artefact in stored.manifest.artefacts:
                path = PurePosixPath(layout.split_key(artefact.key)[1])
                if str(path).startswith(DOWNLOADED) and ".." not in path.parts:
                    artefacts[folder / path] = artefact
    bucket.fetch_all(artefacts, lambda: None)
    return sorted(artefacts)


def summary(row: JobRecord) -> Table:
    """The measured figures of a job, with their units."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in _figures(row):
        table.add_row(name, value)
    return table


def _figures(row: JobRecord) -> list[tuple[str, str]]:
    figures = [(TITLES[stage], f"{row.seconds[stage]:.1f} s") for stage in StageName if stage in row.seconds]
    counts = row.counts
    quality = row.quality
    if "registered" in counts:
        figures.append(("Photos placed", f"{counts['registered']} of {counts.get('photos', '?')}"))
    figures += [(title, f"{counts[name]:,}") for name, title in COUNTS.items() if isinstance(counts.get(name), int)]
    figures += [(title, f"{quality[name]:.2f} {unit}") for name, (title, unit) in QUALITY.items() if name in quality]
    if any(row.cost_usd.values()):
        estimated = sum(row.estimate_usd.get(stage, 0.0) for stage in row.cost_usd)
        figures.append(("Cost (estimated)", f"${sum(row.cost_usd.values()):.4f} (${estimated:.4f})"))
    return figures


COUNTS = {"gaussians": "Gaussians", "ply_bytes": "Bytes of PLY", "sog_bytes": "Bytes of SOG"}
QUALITY = {
    "reprojection_error_px": ("Reprojection error", "px"),
    "psnr_held_out": ("PSNR, held-out photos", "dB"),
    "psnr_train": ("PSNR, training photos", "dB"),
    "psnr_held_out_cc": ("PSNR, held-out, colour-corrected", "dB"),
    "psnr_train_cc": ("PSNR, training, colour-corrected", "dB"),
    "sog_psnr": ("PSNR, SOG against PLY", "dB"),
}


def jobs_table(rows: list[JobRecord]) -> Table:
    """Jobs as a list, the newest first; with their tenants where there are any but the default."""
    tenants = any(row.tenant != DEFAULT_TENANT for row in rows)
    table = Table("job", *(["tenant"] if tenants else []), "state", "percent", "updated", "message", box=None)
    for row in sorted(rows, key=lambda row: row.updated_at, reverse=True):
        updated = f"{row.updated_at:%Y-%m-%d %H:%M}"
        cells = [row.state, f"{row.percent:.0f} %", updated, visible(row.message)]
        table.add_row(row.job_id, *([row.tenant] if tenants else []), *cells)
    return table


def report_end(row: JobRecord, console: Console) -> int:
    """Print how a job ended. Returns the exit code."""
    good = row.state is JobState.COMPLETED
    console.print(
        visible(row.message, MAX_MESSAGE), style="green" if good else "red" if row.failure else "yellow", soft_wrap=True
    )
    if row.failure:
        console.print(f"({row.failure.slug})", style="dim")
    return EXIT_CODES[row.state]

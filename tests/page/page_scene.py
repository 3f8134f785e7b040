"""A tab on a cloud whose jobs are in all states: what `page_states.py` shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from page_cases import link_of
from pipeline_cases import ended, key_of, requested, staged
from playwright.sync_api import Page, expect

from spaceport.cli.connect import deployment_of
from spaceport.local.cloud import EmbeddedCloud
from spaceport.pipeline.contract import AnyManifest, EndManifest, Failure, Figure, JobState, StageName
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.jobs.state import Beat

HOSTILE = '<img src=x onerror="document.title=1">'
FEW = Refused(Slug.TOO_FEW_REGISTERED, count=4, total=30)
UNSAFE = Refused(Slug.UNSAFE_PATH, name=f"../{HOSTILE}.JPG")
BROKEN = Refused(Slug.COMPRESSION_BROKEN, detail="31.2 dB")


@dataclass(frozen=True)
class Scene:
    """A tab on a cloud with jobs in all states, photos to drop, and the id of a job with a model."""

    page: Page
    cloud: EmbeddedCloud
    photos: list[Path]
    finished: str

    def home(self) -> None:
        self.page.goto("about:blank")  # else only the part after # changes, and nothing is loaded
        self.page.goto(link_of(self.cloud))
        expect(self.page.get_by_role("heading", name="Your jobs")).to_be_visible()

    def job(self, job_id: str, query: str = "") -> None:
        base, _, code = link_of(self.cloud).partition("#")
        self.page.goto("about:blank")
        self.page.goto(f"{base}?job={job_id}{query}#{code}")
        expect(self.page.locator("p.sentence")).to_be_visible()


def end_of(job_id: str, state: JobState, stage: StageName | None = None, error: Refused | None = None) -> EndManifest:
    failure = Failure(slug=error.slug, sentence=str(error)) if error else None
    message = str(error) if error else "over"
    return ended(state, job_id).model_copy(update={"failure": failure, "stage": stage, "message": message})


def add_jobs(cloud: EmbeddedCloud) -> None:
    """One job in each state that has no model to look at."""
    deployment = deployment_of(cloud.access)

    def add(job_id: str, name: str, *stages: StageName, end: EndManifest | None = None) -> None:
        now = datetime.now(UTC)
        manifests: list[AnyManifest] = [requested(job_id, name=name, received_at=now - timedelta(minutes=9))]
        manifests += [staged(stage, job_id, name=name) for stage in stages]
        manifests += [end] if end else []
        dated = [
            manifest.model_copy(update={"created_at": now - timedelta(minutes=9 - number)})
            for number, manifest in enumerate(manifests)
        ]
        for manifest in dated:
            deployment.table.record(manifest)
        for manifest in reversed(dated) if end else []:  # those of an ended job wake nobody
            deployment.bucket.put_manifest(key_of(manifest), manifest)

    sfm, train, compress = StageName
    add("state-received", "Vineyard")
    add("state-running", "Lighthouse", sfm)
    add("state-live", "Harbour", sfm)
    add("state-silent", "Silo", sfm)
    for job_id in "state-running", "state-live", "state-silent":
        beat(cloud, job_id)
    ends = {
        "stopped": ("Quarry", [sfm], end_of("state-stopped", JobState.STOPPED, train)),
        "failed": ("Reservoir", [], end_of("state-failed", JobState.FAILED, sfm, FEW)),
        "rejected": (HOSTILE, [], end_of("state-rejected", JobState.REJECTED, None, UNSAFE)),
        "degraded": ("Chapel", [sfm, train], end_of("state-degraded", JobState.COMPLETED_DEGRADED, compress, BROKEN)),
    }
    for state, (name, stages, end) in ends.items():
        add(f"state-{state}", name, *stages, end=end)


def beat(cloud: EmbeddedCloud, job_id: str) -> None:
    """A heartbeat of its training."""
    figures: dict[str, Figure] = {"seconds_left": 360, "gaussians": 41_200, "psnr": 24.1}
    sign_of_life = Beat(StageName.TRAIN, 0.2, "Training at half size", figures, datetime.now(UTC))
    deployment_of(cloud.access).table.record(sign_of_life, job_id)

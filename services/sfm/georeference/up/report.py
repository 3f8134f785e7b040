"""What the report says of up: each source beside the direction that was chosen, and what a pilot must know. Pure."""

from __future__ import annotations

from typing import Final

from services.sfm.georeference.up.combine import UpEstimate
from services.sfm.georeference.up.evidence import UpEvidence
from services.sfm.georeference.up.gimbal import SOURCE as GIMBAL
from services.sfm.georeference.up.held import STRAIGHT_AHEAD, STRAIGHT_DOWN, WALL
from services.sfm.georeference.up.planes import GROUND
from spaceport.pipeline.reports.sfm import Finding, UpEvidenceReport, UpReport, Verdict

ALTERNATIVES: Final = (STRAIGHT_DOWN, STRAIGHT_AHEAD, WALL)
MAX_SIGMA_DEG: Final = 5.0
UNKNOWN_DEG: Final = 60.0
REMEDY: Final = (
    "Keep the drone's gimbal angles in the photos (export originals), add a few photos taken level from several sides,"
    " or control points in a gcp_list.txt"
)


def up_report(estimate: UpEstimate) -> UpReport:
    """The surest source first. Of looking down and looking ahead, only what came true."""
    kept = [
        source for source in estimate.evidence if source.source not in ALTERNATIVES or not estimate.contradicted(source)
    ]
    evidence = [
        UpEvidenceReport(
            source=source.source,
            angle_deg=source.angle_deg(estimate.direction),
            sigma_deg=source.sigma_deg,
            contradicted=estimate.contradicted(source),
        )
        for source in sorted(kept, key=lambda source: source.sigma_deg)
    ]
    ground = [source.angle_deg(estimate.direction) for source in estimate.evidence if source.source == GROUND]
    tilt = min(ground[0], 180 - ground[0]) if ground else None
    return UpReport(sigma_deg=estimate.sigma_deg, evidence=evidence, ground_tilt_deg=tilt)


def up_findings(estimate: UpEstimate) -> list[Finding]:
    """Where up is uncertain, and where what should know it contradicts the rest."""
    sentences = [_uncertain(estimate), *(_contradicted(estimate, source) for source in estimate.evidence)]
    return [Finding(level=Verdict.WARN, sentence=sentence) for sentence in sentences if sentence]


def _uncertain(estimate: UpEstimate) -> str | None:
    sigma = estimate.sigma_deg
    if sigma <= MAX_SIGMA_DEG:
        return None
    if sigma >= UNKNOWN_DEG:
        return f"The photos do not tell which way is up: the model may lie on its side. {REMEDY}."
    return f"Which way is up is uncertain by about {sigma:.0f}°: the model may lean, or lie on its side. {REMEDY}."


def _contradicted(estimate: UpEstimate, source: UpEvidence) -> str | None:
    """Of gimbals; slopes, facades and hands that were not level are no news, and positions have their own sentence."""
    if source.source != GIMBAL or not estimate.contradicted(source):
        return None
    if source.reliability <= 0:
        return f"The {source.source} of the photos contradict each other, so they had no say in which way is up."
    others = [other for other in estimate.evidence if other is not source and not estimate.contradicted(other)]
    surest = sorted(others, key=lambda other: other.sigma_deg)[:2]
    by = f"{source.angle_deg(estimate.direction):.0f}°"
    against = " and ".join(other.source for other in surest) or "the rest"
    return f"The {source.source} contradict the {against} by {by} about which way is up, and had no say in it."

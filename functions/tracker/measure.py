"""What a manifest says in figures, as CloudWatch metrics: what stages take and cost, and how jobs end.

An event that comes twice counts twice: these are for dashboards and alarms. The table and the manifests are exact.
"""

from __future__ import annotations

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from functions.clients import NAMESPACE
from spaceport.pipeline.contract import AnyManifest, EndManifest, StageManifest

QUALITY = {"psnr_held_out": "PSNR", "sog_psnr": "CompressedPSNR"}
"""Of a manifest's quality, in decibels, to the metric's name."""


def measure(manifest: AnyManifest) -> None:
    """Send the manifest's metrics: of a stage by `stage`, of an end by `state`, and by `slug` where it failed."""
    match manifest:
        case StageManifest():
            _measure_stage(manifest)
        case EndManifest():
            _count("Ended", "state", manifest.state)
            if manifest.failure:
                _count("Failed", "slug", manifest.failure.slug)


def _measure_stage(manifest: StageManifest) -> None:
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    metrics.add_dimension("stage", manifest.stage)
    metrics.add_metric("Seconds", MetricUnit.Seconds, manifest.seconds)
    metrics.add_metric("Usd", MetricUnit.NoUnit, manifest.usd)
    for quality, name in QUALITY.items():
        if quality in manifest.outcome.quality:
            metrics.add_metric(name, MetricUnit.NoUnit, manifest.outcome.quality[quality])
    photos = manifest.outcome.counts.get("photos")
    if isinstance(photos, int):
        metrics.add_metric("Photos", MetricUnit.Count, photos)
    metrics.flush_metrics()


def _count(name: str, dimension: str, value: str) -> None:
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    metrics.add_dimension(dimension, value)
    metrics.add_metric(name, MetricUnit.Count, 1)
    metrics.flush_metrics()

"""What a manifest says in figures, as CloudWatch metrics: what stages take and cost, where, and how jobs end.

An event that comes twice counts twice: these are for dashboards and alarms. The table and the manifests are exact.
"""

from __future__ import annotations

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from functions.clients import NAMESPACE
from spaceport.pipeline.contract import AnyManifest, EndManifest, StageManifest

QUALITY = {"psnr_held_out": "PSNR", "sog_psnr": "CompressedPSNR"}
"""Of a manifest's quality, in decibels, to the metric's name."""


def measure(manifest: AnyManifest) -> None:
    """Send the manifest's metrics: of a stage by `stage` and `machine`, of an end by `state` and `slug`."""
    match manifest:
        case StageManifest():
            _measure_stage(manifest)
            _send("MachineSeconds", "machine", manifest.instance_type, manifest.seconds, MetricUnit.Seconds)
        case EndManifest():
            _send("Ended", "state", manifest.state)
            if manifest.failure:
                _send("Failed", "slug", manifest.failure.slug)


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


def _send(name: str, dimension: str, of: str, value: float = 1, unit: MetricUnit = MetricUnit.Count) -> None:
    metrics = EphemeralMetrics(namespace=NAMESPACE)
    metrics.add_dimension(dimension, of)
    metrics.add_metric(name, unit, value)
    metrics.flush_metrics()

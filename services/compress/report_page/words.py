"""The sentences of `report.html`. Those of findings are the stages' own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.compress.report_page.inputs import Earlier
from spaceport.pipeline.reports.compress import CompressReport, ViewKind
from spaceport.pipeline.reports.sfm import Finding, Georeference, SfmReport, Verdict
from spaceport.pipeline.reports.train import TrainReport

LEVELS: Final = {Verdict.STOP: ("■", "Grave"), Verdict.WARN: ("▲", "Warning"), Verdict.GO: ("●", "Good to know")}
ATTRIBUTES: Final = {
    "means": "Positions",
    "scales": "Sizes",
    "quats": "Rotations",
    "sh0_opacity": "Colour and opacity",
    "shN_centroids": "Palette of view-dependent colour",
    "shN_labels": "View-dependent colour",
    "meta": "Description and zip",
}
KINDS: Final = {
    ViewKind.PHOTO: "Where photos were taken",
    ViewKind.BETWEEN: "Halfway from one photo to another",
    ViewKind.BELOW: "Halfway down to what they show",
    ViewKind.ORBIT: "Around the model",
    ViewKind.NEAR: "Near it",
    ViewKind.ABOVE: "Above it",
    ViewKind.INSIDE: "Inside it",
}
_ENDS: Final = {
    "iterations": "as planned",
    "plateau": "when more no longer helped",
    "target_psnr": "at the likeness that was wanted",
    "time": "when its time was up",
    "budget": "when its budget was spent",
}


def findings(earlier: Earlier, report: CompressReport) -> list[Finding]:
    """All of them, the gravest first."""
    listed = [
        *(_survey(earlier.sfm) if earlier.sfm else ()),
        *(_training(earlier.train) if earlier.train else ()),
        *_compression(report),
    ]
    return sorted(listed, key=lambda finding: list(LEVELS).index(finding.level))


def _survey(sfm: SfmReport) -> Iterator[Finding]:
    placed, photos = sfm.model.photos, len(sfm.photos)
    level = Verdict.GO if placed == photos else Verdict.WARN
    yield Finding(level=level, sentence=f"{placed:,} of {photos:,} photos were placed.")
    if sfm.apart:
        parts = len(sfm.apart) + 1
        sentence = f"The photos fall into {parts:,} parts that share nothing. This model is of the largest."
        yield Finding(level=Verdict.WARN, sentence=sentence)
    yield from _lengths(sfm.georeference)
    yield from sfm.findings
    yield from sfm.capture.findings
    if sfm.rolling_shutter.advice:
        yield Finding(level=Verdict.GO, sentence=sfm.rolling_shutter.advice)


def _lengths(georeference: Georeference) -> Iterator[Finding]:
    share, metres, extent = georeference.scale_uncertainty, georeference.uncertainty_m, georeference.extent_m
    if georeference.metric and share:
        over = f" (± {metres:.2g} m over {extent:,.0f} m)" if metres and extent else ""
        yield Finding(level=Verdict.GO, sentence=f"Lengths are in metres, to ± {100 * share:.2g} %{over}.")
    if not georeference.metric and georeference.metric_reason:
        reason = georeference.metric_reason.removesuffix(".")
        yield Finding(level=Verdict.WARN, sentence=f"Lengths may not be called metres: {reason}.")


def _training(train: TrainReport) -> Iterator[Finding]:
    counts, quality = train.counts, train.quality
    end = _ENDS[counts.stopped_by]
    sentence = (
        f"The model has {counts.gaussians:,} Gaussians. Training took {counts.iterations:,} iterations and ended {end}."
    )
    yield Finding(level=Verdict.GO, sentence=sentence)
    if quality.psnr_held_out is not None:
        beside = f", those it saw to {decibels(quality.psnr_train)}" if quality.psnr_train is not None else ""
        sentence = f"Photos that training never saw are matched to {decibels(quality.psnr_held_out)}{beside}."
        yield Finding(level=Verdict.GO, sentence=sentence)


def _compression(report: CompressReport) -> Iterator[Finding]:
    sentence = (
        f"Compressed to {size(report.sog_bytes)}, {report.ratio:.1f} times smaller, and as like the full model as"
        f" {decibels(report.sog_psnr)}."
    )
    yield Finding(level=Verdict.GO, sentence=sentence)
    if report.lod_bytes and report.lod_meta_bytes is not None:
        more, first = (sum(parts) + report.lod_meta_bytes for parts in (report.lod_bytes, report.lod_bytes[-1:]))
        sentence = (
            f"Viewers stream it in {report.lod_levels} levels of detail ({size(more)} more in storage): the first"
            f" {size(first)} show all of it."
        )
        yield Finding(level=Verdict.GO, sentence=sentence)
    if held_out := report.held_out:
        loss = f"{held_out.loss:.2f} dB" if held_out.loss >= 0.005 else "nothing"
        sentence = (
            f"Photos that training never saw are matched to {decibels(held_out.file)} by the compressed model and to"
            f" {decibels(held_out.model)} by the full one: compression costs {loss}."
        )
        yield Finding(level=Verdict.GO, sentence=sentence)
    for why in (report.why_not, report.missed, report.lod_missed):
        if why:
            yield Finding(level=Verdict.WARN, sentence=why)


def decibels(psnr: float) -> str:
    return f"{psnr:.1f} dB"


def size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 999_500 else f"{count / 1e3:.1f} kB"


def duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def dollars(usd: float) -> str:
    return "under $0.01" if 0 < usd < 0.005 else f"${usd:.2f}"


def sentence_of(clause: str) -> str:
    """`it is blurred` becomes `It is blurred.`"""
    return clause[:1].upper() + clause[1:] + ("" if clause.endswith((".", "!", "?")) else ".")

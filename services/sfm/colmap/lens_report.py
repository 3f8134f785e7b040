"""What the report says of the lenses: cameras, findings for pilots, witnesses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from services.sfm.colmap.lenses import Lens
from services.sfm.georeference.witnesses import Witness, focal_witness
from spaceport.pipeline.reports.sfm import CameraReport, Finding, Verdict

MAX_OPEN_STD: Final = {"calibration": 0.02, "exif": 0.05, "unknown": 0.02}
"""Relative standard deviation of a focal length that is worth a warning; EXIF's is what most flights have."""
_SOURCES: Final = {"calibration": "the drone's calibration", "exif": "EXIF", "unknown": "nothing"}


def camera_reports(model: Any, lenses: Sequence[Lens]) -> list[CameraReport]:
    """What the report says of the model's cameras."""
    by_id = {lens.camera_id: lens for lens in lenses}
    return [
        _report(camera, by_id[camera_id]) if camera_id in by_id else _plain_report(camera)
        for camera_id, camera in sorted(model.cameras.items())
    ]


def at_original_size(reports: Sequence[CameraReport], model: Any) -> list[CameraReport]:
    """The reports of `model`, whose cameras were rescaled since to the size of the users' photos."""
    rescaled = []
    for report, (_, camera) in zip(reports, sorted(model.cameras.items()), strict=True):
        scale = camera.width / report.width
        update: dict[str, Any] = {"width": camera.width, "height": camera.height, "params": camera.params.tolist()}
        for name in ("focal_px", "expected_focal_px"):
            focal = getattr(report, name)
            update |= {name: focal * scale} if focal is not None else {}
        rescaled.append(report.model_copy(update=update))
    return rescaled


def _plain_report(camera: Any) -> CameraReport:
    return CameraReport(
        model=camera.model.name, width=camera.width, height=camera.height, params=camera.params.tolist()
    )


def _report(camera: Any, lens: Lens) -> CameraReport:
    return CameraReport(
        model=camera.model.name,
        width=camera.width,
        height=camera.height,
        params=camera.params.tolist(),
        name=lens.task.name,
        photos=lens.photos,
        focal_source=lens.task.source,
        expected_focal_px=lens.expected_focal,
        focal_px=camera.mean_focal_length(),
        focal_std=lens.focal_std,
        held=lens.held,
        reason=lens.reason,
    )


def lens_findings(model: Any, lenses: Sequence[Lens]) -> list[Finding]:
    """What a pilot must know of the lenses: held or open focal lengths, and those that contradict what was known."""
    findings = []
    for lens in lenses:
        camera = model.cameras[lens.camera_id]
        name = lens.task.name or "the camera"
        focal = camera.mean_focal_length()
        source = _SOURCES[lens.task.source]
        if lens.contradicts and not lens.trusts_prior and lens.expected_focal and lens.views_focal:
            sentence = (
                f"{source[0].upper()}{source[1:]} has a focal length of {lens.expected_focal:,.0f} pixels for {name}."
                f" The photos have {lens.views_focal:,.0f} ({lens.views_focal / lens.expected_focal - 1:+.0%}),"
                " determine it, and are believed."
            )
            findings.append(Finding(level=Verdict.GO, sentence=sentence))
        elif lens.held:
            sentence = (
                f"The photos do not determine the focal length of {name}: it is held at {focal:,.0f} pixels, where"
                f" {source} has it to within {2 * (lens.focal_std or 0.0):.1%}."
            )
            findings.append(Finding(level=Verdict.GO, sentence=sentence))
        elif lens.focal_std is not None and lens.focal_std > MAX_OPEN_STD[lens.task.source]:
            sentence = (
                f"Nothing tells the focal length of {name} to better than {2 * lens.focal_std:.0%}, and heights with"
                " it. Upload the photos as the camera wrote them, with EXIF, or add oblique photos."
            )
            findings.append(Finding(level=Verdict.WARN, sentence=sentence))
    return findings


def focal_witnesses(model: Any, lenses: Sequence[Lens]) -> list[Witness]:
    """Focal lengths that the model was not made from: EXIF's beside a calibration, and what the views alone want."""
    witnesses = []
    for lens in lenses:
        known, focal = lens.task, model.cameras[lens.camera_id].mean_focal_length()
        if known.source == "calibration" and known.exif_focal and known.exif_focal_std:
            witnesses.append(
                focal_witness(known.name, "EXIF", known.exif_focal, known.exif_focal_std, focal, lens.focal_std)
            )
        if lens.contradicts and lens.trusts_prior:
            witnesses.append(_views_witness(lens))
    return witnesses


def _views_witness(lens: Lens) -> Witness:
    """The views against a focal length that is kept all the same, since they do not know it well enough."""
    expected, found = lens.expected_focal or 0.0, lens.views_focal or 0.0
    std = expected * math.hypot(lens.task.focal_std or 0.0, lens.views_std or 0.0)
    words = (
        f"the photos alone want a focal length of {found:,.0f} pixels for {lens.task.name or 'the camera'}, and"
        f" {_SOURCES[lens.task.source]} has {expected:,.0f} ({found / expected - 1:+.0%})"
    )
    sentence = f"{words[0].upper()}{words[1:]}, which is kept. Add oblique photos, RTK or control points."
    return Witness("focal length", expected, found, std, sentence, words)

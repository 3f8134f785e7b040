"""A `compressed/report.json` with words that would be markup, if they were let."""

from __future__ import annotations

from services.compress.report_page.tables import SoFar
from spaceport.pipeline.costs import Kept
from spaceport.pipeline.reports.compress import CompressReport

COMPRESSED = CompressReport.model_validate(
    {
        "gaussians": 9, "dropped": {}, "sh_bands": 0, "ply_bytes": 9000, "sog_bytes": 1000, "ratio": 9.0,
        "file_bytes": {}, "mb_per_million": 111.1,
        "held_out": {"photos": 4, "model": 28.4, "file": 28.16, "loss": 0.24},
        "attribute_bytes": {"means": 600, "quats": 390, "<b>": 10}, "preset": "balanced", "target_psnr": 45.0,
        "max_bytes": None, "missed": "It is <larger> than was wanted.", "ceiling_psnr": None, "why_not": None,
        "quality": {
            "palette_error": 0, "palette_size": None, "palette_share": 0, "position_slack": 0, "scale_step": 0,
            "colour_step": 0, "sh_step": 0, "rotation_slack": 0, "sh_bands": 0,
        },
        "rms_errors": {"position": 0, "log_scale": 0, "rotation_degrees": 0, "opacity": 0, "colour": 0},
        "sog_psnr": 44.0, "sog_psnr_worst": 43.0, "min_psnr": 30.0, "attempts": [], "seed": 0,
        "views": [
            {"kind": kind, "name": "", "held_out": False, "psnr": psnr}
            for kind, psnr in (("photo", 46.0), ("below", 43.0), ("photo", 43.01))
        ],
        "kinds": {"photo": {"mean": 44.5, "worst": 43.01}, "below": {"mean": 43.0, "worst": 43.0}},
        "views_from": "", "published": True,
    }
)  # fmt: skip

OWN = SoFar("c6i.2xlarge", 180.0, Kept(20, 0, 24_000_000))
"""Of the stage that the report is of."""

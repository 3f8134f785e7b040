"""The part of a job's report page about its photos: one self-contained HTML section."""

from __future__ import annotations

from html import escape
from typing import Final

from services.sfm.report.build import missing_photo_warnings
from services.sfm.report.figures import capture_figures, lengths_sentence, model_figures
from services.sfm.report.plan_drawing import PlanDrawing
from services.sfm.report.tables import camera_table, control_point_table, left_out_table, photo_table
from spaceport.pipeline.reports.sfm import Finding, SfmReport, Verdict

_STYLE: Final = """
<style>
.sfm{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:860px;overflow-wrap:break-word}
.sfm h2{font-size:1.25em;margin:1.4em 0 .4em}.sfm h3{font-size:1em;margin:1.2em 0 .3em}
.sfm figure{margin:1.2em 0}.sfm figcaption{color:#555;font-size:.9em}
.sfm svg{display:block;max-width:100%;height:auto;border:1px solid #ddd;border-radius:6px}
.sfm ul{padding-left:1.2em}.sfm li.warn,.sfm li.stop{color:#a04d00}
.sfm .legend{list-style:none;padding:0;margin:.4em 0 .2em;font-size:.9em;display:flex;flex-wrap:wrap;gap:.1em 1.4em}
.sfm dl{display:grid;grid-template-columns:max-content 1fr;gap:.15em 1.2em;margin:.4em 0}
.sfm dt{color:#555}.sfm dd{margin:0}
.sfm .wide{overflow-x:auto}
.sfm table{border-collapse:collapse;width:100%;min-width:640px;font-size:.9em}
.sfm th,.sfm td{text-align:left;vertical-align:top;padding:.25em .6em;border-bottom:1px solid #e5e5e5}
.sfm th{white-space:nowrap}.sfm td:last-child{min-width:11em}
.sfm .n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.sfm tr.lost{color:#a04d00}
@media (max-width:600px){
.sfm dl{grid-template-columns:1fr;gap:0}.sfm dd{margin:0 0 .5em}
.sfm svg text{font-size:26px}
}
</style>"""
_MAP_CAPTION: Final = "Where the photos were taken, by their positions. The dashed line joins them in order of time."
_FOOTPRINT_CAPTION: Final = (
    " Shaded is the ground that each photo shows, as height and gimbal tell it: the darker, the more photos show it."
)
_ABOVE_CAPTION: Final = "The model from above: the points that were reconstructed, and where each photo was taken."


def build_page(report: SfmReport, capture_map: PlanDrawing | None, top_view: PlanDrawing) -> str:
    """An HTML `<section>` out of the stage's report and its two drawings."""
    shaded = _FOOTPRINT_CAPTION if report.capture.area_m2 is not None else ""
    parts = [
        '<section class="sfm">',
        _STYLE.strip(),
        f"<h2>{_headline(report)}</h2>",
        f"<p>{escape(report.given.sentence)}</p>" if report.given else "",
        f"<p><strong>{escape(lengths_sentence(report.georeference))}</strong></p>",
        _findings(report),
        _figures("The model", model_figures(report)),
        control_point_table(report.georeference),
        camera_table(report.cameras),
        _figures("The capture", capture_figures(report)),
        _drawing(top_view, _ABOVE_CAPTION),
        _drawing(capture_map, _MAP_CAPTION + shaded),
        photo_table(report.photos),
        left_out_table(report.intake.left_out),
        "</section>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _headline(report: SfmReport) -> str:
    return f"{report.model.photos:,} of {len(report.photos):,} photos placed"


def _findings(report: SfmReport) -> str:
    """All of them, the gravest first."""
    findings = [Finding(level=Verdict.WARN, sentence=sentence) for sentence in missing_photo_warnings(report)]
    findings += [*report.findings, *report.capture.findings]
    if report.rolling_shutter.advice:
        findings.append(Finding(level=Verdict.GO, sentence=report.rolling_shutter.advice))
    findings.sort(key=lambda finding: list(Verdict)[::-1].index(finding.level))
    if findings:
        items = [f'<li class="{finding.level.value}">{escape(finding.sentence)}</li>' for finding in findings]
        return f"<ul>{''.join(items)}</ul>"
    unused = report.capture.figures.located and not report.georeference.metric
    return "" if unused else "<p>Nothing to complain about.</p>"


def _figures(title: str, rows: dict[str, str | None]) -> str:
    cells = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items() if value]
    return f"<h3>{escape(title)}</h3><dl>{''.join(cells)}</dl>" if cells else ""


def _drawing(drawing: PlanDrawing | None, caption: str) -> str:
    """The legend is set as text, which stays legible where a phone shrinks the drawing."""
    if drawing is None:
        return ""
    lines = [
        f'<li><span style="color:{escape(colour)}">{escape(mark)}</span> {escape(words)}</li>'
        for colour, mark, words in drawing.legend
    ]
    legend = f'<ul class="legend">{"".join(lines)}</ul>'
    return f"<figure>{drawing.svg(with_legend=False)}{legend}<figcaption>{escape(caption)}</figcaption></figure>"

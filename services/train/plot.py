"""training.png: PSNR, loss and number of Gaussians over the time of training."""

from __future__ import annotations

import io
from typing import Any, Final

from matplotlib.figure import Figure

from services.train.log import LogEntry

SIZE_INCHES: Final = (9.0, 5.6)
DPI: Final = 110
QUALITY, LOSS, COUNT, GRID = "#1b6ca8", "#d9700b", "#4a7a3a", "#dddddd"


def draw_curve(entries: list[LogEntry], *, best_iteration: int, stopped_by: str, held_out: bool) -> bytes:
    """A PNG of at least one entry: PSNR in the upper plot, loss and Gaussians in the lower, against seconds."""
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    seconds = [entry.seconds for entry in entries]
    _plot_psnr(upper, entries, best_iteration, "held-out photos" if held_out else "photos trained on")
    upper.set_title(
        f"Training: {entries[-1].iteration:,} iterations, ended by {_describe_reason(stopped_by)}", loc="left"
    )
    lower.plot(seconds, [entry.loss for entry in entries], color=LOSS, linewidth=1)
    lower.set_ylabel("loss", color=LOSS)
    lower.set_xlabel("seconds of training")
    count = lower.twinx()
    count.plot(seconds, [entry.gaussians for entry in entries], color=COUNT, linewidth=1.5)
    count.set_ylabel("Gaussians", color=COUNT)
    count.set_ylim(bottom=0)
    count.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for axes in (upper, lower):
        axes.grid(color=GRID)
        axes.spines[["top"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _plot_psnr(axes: Any, entries: list[LogEntry], best_iteration: int, measured_on: str) -> None:
    """PSNR with its best point, over bands that show the size of the photos in use."""
    axes.plot([entry.seconds for entry in entries], [entry.psnr for entry in entries], color=QUALITY, linewidth=2)
    best = min(entries, key=lambda entry: abs(entry.iteration - best_iteration))
    axes.plot(best.seconds, best.psnr, "o", color=QUALITY)
    axes.annotate(
        f"best: {best.psnr:.1f} dB", (best.seconds, best.psnr), xytext=(0, -16), textcoords="offset points", ha="right"
    )
    axes.set_ylabel(f"PSNR of {measured_on}, dB", color=QUALITY)
    for begin, end, level in _level_spans(entries):
        axes.axvspan(begin, end, color=GRID, alpha=0.6 * (1 - level), linewidth=0)
        label = {"rotation": 90, "va": "bottom", "ha": "left", "fontsize": 8, "color": "#666666"}
        axes.text(begin, 0.03, f"{level:.0%} size", transform=axes.get_xaxis_transform(), **label)


def _level_spans(entries: list[LogEntry]) -> list[tuple[float, float, float]]:
    """Spans of time (begin, end, level) with photos of one size."""
    spans: list[tuple[float, float, float]] = []
    for entry in entries:
        if spans and spans[-1][2] == entry.level:
            spans[-1] = (spans[-1][0], entry.seconds, entry.level)
        else:
            spans.append((spans[-1][1] if spans else 0.0, entry.seconds, entry.level))
    return spans


def _describe_reason(stopped_by: str) -> str:
    return {
        "iterations": "the planned number of iterations",
        "plateau": "a plateau",
        "target_psnr": "reaching its target",
        "time": "its time limit",
        "budget": "its budget",
    }.get(stopped_by, stopped_by)

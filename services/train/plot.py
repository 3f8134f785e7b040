"""training.png: how a training went, for people who would rather look than read."""

from __future__ import annotations

import io
from typing import Any, Final

from matplotlib.figure import Figure

from services.train.log import Entry

SIZE_INCHES: Final = (9.0, 5.6)
DPI: Final = 110
QUALITY, LOSS, COUNT, GRID = "#1b6ca8", "#d9700b", "#4a7a3a", "#dddddd"


def draw_curve(entries: list[Entry], *, best_iteration: int, stopped_by: str, held_out: bool) -> bytes:
    """A PNG of at least one measurement: PSNR above, loss and Gaussians below, against seconds of training."""
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    seconds = [entry.seconds for entry in entries]
    _quality(above, entries, best_iteration, "held-out photos" if held_out else "photos trained on")
    above.set_title(f"Training: {entries[-1].iteration:,} iterations, ended by {_words(stopped_by)}", loc="left")
    below.plot(seconds, [entry.loss for entry in entries], color=LOSS, linewidth=1)
    below.set_ylabel("loss", color=LOSS)
    below.set_xlabel("seconds of training")
    count = below.twinx()
    count.plot(seconds, [entry.gaussians for entry in entries], color=COUNT, linewidth=1.5)
    count.set_ylabel("Gaussians", color=COUNT)
    count.set_ylim(bottom=0)
    count.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for axes in (above, below):
        axes.grid(color=GRID)
        axes.spines[["top"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _quality(axes: Any, entries: list[Entry], best_iteration: int, measured_on: str) -> None:
    """PSNR with its best point, over bands that show the size of the photos in use."""
    axes.plot([entry.seconds for entry in entries], [entry.psnr for entry in entries], color=QUALITY, linewidth=2)
    best = min(entries, key=lambda entry: abs(entry.iteration - best_iteration))
    axes.plot(best.seconds, best.psnr, "o", color=QUALITY)
    axes.annotate(
        f"kept: {best.psnr:.1f} dB", (best.seconds, best.psnr), xytext=(0, -16), textcoords="offset points", ha="right"
    )
    axes.set_ylabel(f"PSNR of {measured_on}, dB", color=QUALITY)
    for begin, end, level in _levels(entries):
        axes.axvspan(begin, end, color=GRID, alpha=0.6 * (1 - level), linewidth=0)
        label = {"rotation": 90, "va": "bottom", "ha": "left", "fontsize": 8, "color": "#666666"}
        axes.text(begin, 0.03, f"{level:.0%} size", transform=axes.get_xaxis_transform(), **label)


def _levels(entries: list[Entry]) -> list[tuple[float, float, float]]:
    """Spans of time (begin, end, level) with photos of one size."""
    spans: list[tuple[float, float, float]] = []
    for entry in entries:
        if spans and spans[-1][2] == entry.level:
            spans[-1] = (spans[-1][0], entry.seconds, entry.level)
        else:
            spans.append((spans[-1][1] if spans else 0.0, entry.seconds, entry.level))
    return spans


def _words(stopped_by: str) -> str:
    return {
        "iterations": "the planned number of iterations",
        "plateau": "a plateau",
        "target_psnr": "reaching its target",
        "time": "its time limit",
        "budget": "its budget",
    }.get(stopped_by, stopped_by)

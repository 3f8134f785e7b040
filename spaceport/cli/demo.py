"""`spaceport demo`: make the survey with a progress bar, and compare the result with the ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spaceport.demo import Survey, load_truth, make_survey
from spaceport.demo.align import align
from spaceport.splats.cameras import read_cameras


def make(folder: Path, photos: int, console: Console) -> Survey:
    """Make the demo survey in `folder`, with a progress bar on a terminal."""
    columns = (TextColumn("[bold]Taking photos"), BarColumn(bar_width=28), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=photos)
        survey = make_survey(folder, photos, on_photo=lambda done, *_: bars.update(bar, completed=done))
    console.print(f"{survey.photos} photos in {survey.zip_path}", soft_wrap=True)
    return survey


def compare_with_truth(results: Path, survey: Survey) -> str:
    """How far the registered cameras are from their true positions, in one line."""
    truth = load_truth(survey.truth_path)
    true = {camera.name: camera.position for camera in truth.cameras}
    cameras = read_cameras(results / "gaussian" / "cameras.json")
    registered = {Path(camera.name).name: camera.position for camera in cameras}
    names = sorted(true.keys() & registered.keys())
    fit = align(np.array([registered[name] for name in names]), np.array([true[name] for name in names]))
    worst = fit.residuals.max()
    median = float(np.median(fit.residuals))
    return (
        f"Against the truth: {len(names)} cameras, median {100 * median:.1f} cm and at most {100 * worst:.1f} cm off, "
        f"{100 * worst / truth.scene_size:.3f} % of the {truth.scene_size:.0f} m between the farthest two."
    )

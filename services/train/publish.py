"""Measures the best model of a training and writes what the stage delivers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from services.train.evaluate import ViewScore, mean_psnr, score_views, spread, summary
from services.train.log import TrainingLog
from services.train.plan import Plan
from services.train.plot import draw_curve
from services.train.preview import ROWS, write_preview
from services.train.pruning import Pruned, pruned, significance
from services.train.rasterisers.protocol import NAMES, Rasteriser, Tensors
from services.train.stopping import StopReason
from services.train.trainer import WATCHED, Trainer
from spaceport.files import write_atomic
from spaceport.pipeline.contract import Outcome
from spaceport.progress import Progress, Share
from spaceport.splats.cameras import Camera, write_cameras
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.model import Gaussians

LEANING: Final = 0.3
"""The share of publishing that goes into finding what can be left out."""


def publish(
    plan: Plan,
    trainer: Trainer,
    rasteriser: Rasteriser,
    log: TrainingLog,
    reason: StopReason,
    home: Path,
    progress: Progress,
) -> Outcome:
    """Write model.ply, cameras.json, training.png, preview.jpg and report.json to `home`; return the headlines."""
    best = {name: value.to(rasteriser.device) for name, value in trainer.best.items()}
    parameters, cut = _lean(plan, best, rasteriser, Share(progress, 0, LEANING))
    scores = score_views(
        rasteriser,
        parameters,
        plan.scene.measured,
        plan.scene.photos,
        plan.schedule.sh_degree,
        Share(progress, LEANING, 1),
    )
    model = plan.frame.gaussians_out(as_gaussians(parameters, antialiased=plan.options.antialiased))
    write_ply(home / "model.ply", model, sh_degree=3)
    write_cameras(home / "cameras.json", plan.dataset.cameras)
    _preview(plan, parameters, rasteriser, scores, home / "preview.jpg")
    outcome = Outcome(
        message=f"Trained {len(model):,} Gaussians in {trainer.iteration:,} iterations",
        counts={
            "gaussians": len(model),
            "pruned": cut.gaussians if cut else 0,
            "cap": plan.cap.gaussians,
            "cap_why": plan.cap.why,
            "iterations": trainer.iteration,
            "ply_bytes": (home / "model.ply").stat().st_size,
            "stopped_by": str(reason),
        },
        quality=summary(scores),
        device=plan.device.name,
    )
    _plot(plan, trainer, log, reason, home / "training.png")
    report = _report(plan, trainer, outcome, scores, log) | {"pruned": asdict(cut) if cut else None}
    write_atomic(home / "report.json", (json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
    return outcome


def _lean(plan: Plan, parameters: Tensors, rasteriser: Rasteriser, progress: Progress) -> tuple[Tensors, Pruned | None]:
    """The model without what its photos hardly miss, held out or not."""
    if not plan.options.prune:
        return parameters, None
    scene = plan.scene
    judges = scene.watched + spread(scene.training, WATCHED)

    def score(model: Tensors, sh_degree: int) -> float:
        progress.check()
        return mean_psnr(rasteriser, model, judges, scene.photos, sh_degree, corrected=True)

    weights = significance(rasteriser, parameters, scene.training, progress)
    return pruned(parameters, weights, plan.schedule.sh_degree, score)


def as_gaussians(parameters: Tensors, *, antialiased: bool = False) -> Gaussians:
    """The parameters as the model that files hold, in the training frame."""
    arrays = {name: parameters[name].detach().cpu().numpy() for name in NAMES}
    return Gaussians(**arrays, antialiased=antialiased)


def _plot(plan: Plan, trainer: Trainer, log: TrainingLog, reason: StopReason, path: Path) -> None:
    held_out = bool(plan.dataset.held_out)
    picture = draw_curve(log.entries, best_iteration=trainer.best_iteration, stopped_by=str(reason), held_out=held_out)
    write_atomic(path, picture)


def _preview(plan: Plan, parameters: Tensors, rasteriser: Rasteriser, scores: list[ViewScore], path: Path) -> None:
    by_name = {score.name: score for score in scores}
    rows = []
    for camera in _shown(plan.scene.cameras, by_name):
        kind = "held out" if camera.held_out else "trained on"
        label = f"{camera.name} ({kind}, {by_name[camera.name].psnr:.1f} dB)"
        photo = plan.scene.photos.at(camera)
        rows.append((label, photo, rasteriser.render(parameters, camera, plan.schedule.sh_degree)))
    write_preview(path, rows)


def _shown(cameras: list[Camera], scores: dict[str, ViewScore]) -> list[Camera]:
    """Held-out photos, and one that was trained on, of middling likeness: what was never seen beside what was."""
    trained = sorted(
        (camera for camera in cameras if not camera.held_out and camera.name in scores),
        key=lambda camera: scores[camera.name].psnr,
    )
    middle = [trained[len(trained) // 2]] if trained else []
    return spread([camera for camera in cameras if camera.held_out], ROWS - len(middle)) + middle


def _report(
    plan: Plan, trainer: Trainer, outcome: Outcome, scores: list[ViewScore], log: TrainingLog
) -> dict[str, Any]:
    """All facts of the run: what was decided and why, the curve, and every photo's scores."""
    return {
        "version": 1,
        "counts": outcome.counts,
        "quality": outcome.quality,
        "seconds": round(trainer.seconds, 2),
        "device": asdict(plan.device),
        "cap": asdict(plan.cap),
        "photos": {"training": len(plan.dataset.training), "held_out": len(plan.dataset.held_out)},
        "image_size": plan.schedule.longest_side,
        "sh_degree": plan.schedule.sh_degree,
        "antialiased": plan.options.antialiased,
        "points": len(plan.dataset.xyz),
        "frame": {"centre": plan.frame.centre.tolist(), "extent": plan.frame.extent},
        "watched": {
            "photos": [camera.name for camera in plan.scene.watched],
            "held_out": bool(plan.dataset.held_out),
            "best_psnr": trainer.best_psnr,
            "best_iteration": trainer.best_iteration,
        },
        "options": plan.options.model_dump(mode="json"),
        "curve": [asdict(entry) for entry in log.entries],
        "views": [asdict(score) for score in scores],
    }

"""Smooths, prunes and evaluates the best model of a training, and writes what the stage delivers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from services.train.evaluate import ViewScore, mean_psnr, score_views, summarise_scores
from services.train.held_out import write_held_out
from services.train.log import TrainingLog
from services.train.plan import TrainingPlan
from services.train.plot import draw_curve
from services.train.preview import ROWS, write_preview
from services.train.pruning import PruningReport, importance_scores, prune
from services.train.rasterisers.protocol import NAMES, Rasteriser, Tensors
from services.train.smoothing import smooth
from services.train.stopping import StopReason
from services.train.trainer import Trainer
from services.train.training_set import VALIDATION_PHOTOS
from spaceport.files import write_atomic
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.reports.train import TrainReport
from spaceport.progress import Progress, Share
from spaceport.splats.cameras import Camera, sample_evenly, write_cameras
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.model import Gaussians

PRUNING_SHARE: Final = 0.3
"""Of the time of publishing."""


def publish(
    plan: TrainingPlan,
    trainer: Trainer,
    rasteriser: Rasteriser,
    log: TrainingLog,
    reason: StopReason,
    folder: Path,
    progress: Progress,
) -> Outcome:
    """Write model.ply, cameras.json, training.png, preview.jpg, held-out-N.jpg and report.json; return the outcome."""
    best = {name: value.to(rasteriser.device) for name, value in trainer.best.items()}
    if not plan.options.antialiased:  # else no blur was added that would have to be kept
        best = smooth(best, plan.training_set.training, plan.reduction)
    parameters, pruning = _prune(plan, best, rasteriser, Share(progress, 0, PRUNING_SHARE))
    scores = score_views(
        rasteriser,
        parameters,
        plan.training_set.evaluation,
        plan.training_set.photos,
        plan.schedule.sh_degree,
        Share(progress, PRUNING_SHARE, 1),
    )
    model = plan.transform.to_world(to_gaussians(parameters, antialiased=plan.options.antialiased))
    write_ply(folder / "model.ply", model, sh_degree=3)
    write_cameras(folder / "cameras.json", plan.dataset.cameras)
    held_out = write_held_out(folder, plan.training_set.held_out, plan.training_set.photos)
    by_name = {score.name: score for score in scores}
    shown = _preview_cameras(plan.training_set.cameras, by_name)[:ROWS]
    _write_preview(plan, parameters, rasteriser, shown, by_name, folder / "preview.jpg")
    outcome = Outcome(
        message=f"Trained {len(model):,} Gaussians in {trainer.iteration:,} iterations",
        counts={
            "gaussians": len(model),
            "pruned": pruning.gaussians if pruning else 0,
            "cap": plan.cap.gaussians,
            "cap_why": plan.cap.why,
            "iterations": trainer.iteration,
            "ply_bytes": (folder / "model.ply").stat().st_size,
            "stopped_by": str(reason),
        },
        quality=summarise_scores(scores),
        device=plan.device.name,
    )
    _write_curve(plan, trainer, log, reason, folder / "training.png")
    preview = [camera.name for camera in shown]
    report = make_report(plan, trainer, outcome, scores, log, pruning, preview, held_out)
    write_atomic(
        folder / "report.json",
        (json.dumps(report.model_dump(mode="json", exclude_unset=True), indent=1, allow_nan=False) + "\n").encode(),
    )
    return outcome


def _prune(
    plan: TrainingPlan, parameters: Tensors, rasteriser: Rasteriser, progress: Progress
) -> tuple[Tensors, PruningReport | None]:
    """The model without what its photos hardly show, held out or not."""
    if not plan.options.prune:
        return parameters, None
    training_set = plan.training_set
    cameras = training_set.validation + sample_evenly(training_set.training, VALIDATION_PHOTOS)

    def score(model: Tensors, sh_degree: int) -> float:
        progress.check()
        return mean_psnr(rasteriser, model, cameras, training_set.photos, sh_degree, colour_correct=True)

    importance = importance_scores(rasteriser, parameters, training_set.training, progress)
    return prune(parameters, importance, plan.schedule.sh_degree, score)


def to_gaussians(parameters: Tensors, *, antialiased: bool = False) -> Gaussians:
    """The parameters as the model that files hold, in the training frame."""
    arrays = {name: parameters[name].detach().cpu().numpy() for name in NAMES}
    return Gaussians(**arrays, antialiased=antialiased)


def _write_curve(plan: TrainingPlan, trainer: Trainer, log: TrainingLog, reason: StopReason, path: Path) -> None:
    held_out = bool(plan.dataset.held_out)
    picture = draw_curve(log.entries, best_iteration=trainer.best_iteration, stopped_by=str(reason), held_out=held_out)
    write_atomic(path, picture)


def _write_preview(
    plan: TrainingPlan,
    parameters: Tensors,
    rasteriser: Rasteriser,
    cameras: list[Camera],
    by_name: dict[str, ViewScore],
    path: Path,
) -> None:
    rows = []
    for camera in cameras:
        kind = "held out" if camera.held_out else "trained on"
        label = f"{camera.name} ({kind}, {by_name[camera.name].psnr:.1f} dB)"
        photo = plan.training_set.photos.at(camera)
        rows.append((label, photo, rasteriser.render(parameters, camera, plan.schedule.sh_degree)))
    write_preview(path, rows)


def _preview_cameras(cameras: list[Camera], scores: dict[str, ViewScore]) -> list[Camera]:
    """Held-out photos, and the one of median PSNR among those that were trained on."""
    trained = sorted(
        (camera for camera in cameras if not camera.held_out and camera.name in scores),
        key=lambda camera: scores[camera.name].psnr,
    )
    median = [trained[len(trained) // 2]] if trained else []
    return sample_evenly([camera for camera in cameras if camera.held_out], ROWS - len(median)) + median


def make_report(
    plan: TrainingPlan,
    trainer: Trainer,
    outcome: Outcome,
    scores: list[ViewScore],
    log: TrainingLog,
    pruning: PruningReport | None,
    preview: list[str],
    held_out: list[str],
) -> TrainReport:
    """What was decided and why, the curve, and every photo's scores."""
    return TrainReport.model_validate(
        {
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
            "frame": {"centre": plan.transform.centre.tolist(), "extent": plan.transform.extent},
            "watched": {
                "photos": [camera.name for camera in plan.training_set.validation],
                "held_out": bool(plan.dataset.held_out),
                "best_psnr": trainer.best_psnr,
                "best_iteration": trainer.best_iteration,
            },
            "options": plan.options.model_dump(mode="json"),
            "curve": [asdict(entry) for entry in log.entries],
            "views": [asdict(score) for score in scores],
            "pruned": asdict(pruning) if pruning else None,
            "preview": preview,
            "held_out_photos": held_out,
        }
    )

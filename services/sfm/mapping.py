"""Places the photos: COLMAP's incremental mapper, its global one where that places too few, and the better result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pycolmap

from services.sfm.database import MIN_MATCHES, Count, all_focals_known
from services.sfm.task import Task

MIN_MODEL: Final = 3  # COLMAP's 10 throws small sets away
ENOUGH: Final = 0.9  # of the photos; with fewer the other mapper may do better
MAX_MODELS: Final = 10


@dataclass(frozen=True)
class Model:
    """One reconstruction and the mapper that made it."""

    mapper: str
    reconstruction: Any

    @property
    def merit(self) -> tuple[int, int]:
        return self.reconstruction.num_reg_images(), self.reconstruction.num_points3D()

    def facts(self) -> dict[str, object]:
        """Figures for the report: error in pixels, track length in photos."""
        return {
            "mapper": self.mapper,
            "photos": self.reconstruction.num_reg_images(),
            "points": self.reconstruction.num_points3D(),
            "reprojection_error_px": self.reconstruction.compute_mean_reprojection_error(),
            "track_length": self.reconstruction.compute_mean_track_length(),
        }


def map_photos(task: Task, database: Path, count: Count) -> list[Model]:
    """All models found, the best first: most photos placed, then most points. Empty when nothing could be placed."""
    models: list[Model] = []
    if task.options.mapper != "global":
        models = _incremental(task, database, count)
    placed = max((model.merit[0] for model in models), default=0)
    if task.options.mapper == "global" or (task.options.mapper == "auto" and placed < ENOUGH * len(task.photos)):
        models += _global(task, database)
    return sorted(models, key=lambda model: model.merit, reverse=True)


def _incremental(task: Task, database: Path, count: Count) -> list[Model]:
    """Schönberger and Frahm, "Structure-from-Motion Revisited" (2016)."""
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = MIN_MODEL
    options.min_num_matches = MIN_MATCHES
    options.max_num_models = MAX_MODELS
    options.random_seed = task.options.seed
    options.extract_colors = False  # done once, on the photos that were made small
    manager = pycolmap.ReconstructionManager()
    names = pycolmap.IncrementalPipelineCallback

    def on_photo() -> None:
        count(manager.get(manager.size() - 1).num_reg_images(), len(task.photos))

    with pycolmap.Database.open(database) as opened:
        pipeline = pycolmap.IncrementalPipeline(options, opened, manager)
        pipeline.add_callback(names.INITIAL_IMAGE_PAIR_REG_CALLBACK.value, on_photo)
        pipeline.add_callback(names.NEXT_IMAGE_REG_CALLBACK.value, on_photo)
        pipeline.run()
    return [Model("incremental", manager.get(number)) for number in range(manager.size())]


def _global(task: Task, database: Path) -> list[Model]:
    """Pan et al., "Global Structure-from-Motion Revisited" (2024). Tells nothing while it runs."""
    if not all_focals_known(database):
        pycolmap.calibrate_view_graph(database)
    options = pycolmap.GlobalPipelineOptions()
    options.min_model_size = MIN_MODEL
    options.min_num_matches = MIN_MATCHES
    options.random_seed = task.options.seed
    folder = task.scratch / "global"
    folder.mkdir()
    found = pycolmap.global_mapping(database, task.photos_folder, folder, options)
    return [Model("global", reconstruction) for reconstruction in found.values()]

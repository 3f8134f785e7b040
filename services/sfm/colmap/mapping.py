"""Places the photos: COLMAP's incremental mapper, its global one where that places too few, and the better result."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pycolmap

from services.sfm.colmap.database import MIN_MATCHES, Count, all_focals_known
from services.sfm.colmap.policy import needs_other_mapper
from services.sfm.messages import Task
from spaceport.simd.cores import usable_cores

INCREMENTAL: Final = "incremental"
MIN_MODEL: Final = 3  # COLMAP's 10 throws small sets away
MIN_POINTS: Final = 15  # of the model that a photo must see to count as placed: the global mapper forces photos in
MAX_MODELS: Final = 10
GROWTH: Final = 1.6  # all cameras are adjusted anew each time the model has grown by so much
TOLERANCE: Final = 1e-4  # relative change of the cost that ends an adjustment: the last one, `settle`, is the exact one


@dataclass(frozen=True)
class Model:
    """One reconstruction and the mapper that made it."""

    mapper: str
    reconstruction: Any

    @property
    def merit(self) -> tuple[int, int]:
        """Photos firmly placed, then points: the better model has more."""
        firm = sum(image.has_pose and image.num_points3D >= MIN_POINTS for image in self.reconstruction.images.values())
        return firm, self.reconstruction.num_points3D()

    def facts(self) -> dict[str, object]:
        """Figures for the report: error in pixels, track length in photos."""
        return {
            "mapper": self.mapper,
            "photos": self.reconstruction.num_reg_images(),
            "points": self.reconstruction.num_points3D(),
            "reprojection_error_px": self.reconstruction.compute_mean_reprojection_error(),
            "track_length": self.reconstruction.compute_mean_track_length(),
        }

    def cameras(self) -> list[dict[str, object]]:
        """COLMAP's name, the size and the parameters of each camera, in pixels."""
        return [
            {"model": each.model.name, "width": each.width, "height": each.height, "params": each.params.tolist()}
            for each in self.reconstruction.cameras.values()
        ]


def map_photos(task: Task, database: Path, count: Count) -> list[Model]:
    """All models found, the best first: most photos placed, then most points. Empty when nothing could be placed."""
    models: list[Model] = []
    if task.options.mapper != "global":
        models = _incremental(task, database, count)
    if needs_other_mapper(task.options.mapper, len(task.photos), most_placed(models)):
        models += _global(task, database)
    return in_order(models)


def in_order(models: list[Model]) -> list[Model]:
    """The best first."""
    return sorted(models, key=lambda model: model.merit, reverse=True)


def most_placed(models: list[Model]) -> int:
    return max((model.merit[0] for model in models), default=0)


def apart(models: list[Model]) -> list[list[str]]:
    """Files of the photos that show other places, place by place: models most of whose photos no better model has."""
    files = [{image.name for image in each.reconstruction.images.values() if image.has_pose} for each in models]
    seen, found = set(files[0]), []
    for placed in files[1:]:
        if 2 * len(new := placed - seen) > len(placed):
            found.append(sorted(new))
            seen |= new
    return found


def unplaced(model: Model, task: Task) -> list[int]:
    """Numbers of the task's photos that the model did not place."""
    placed = {image.name for image in model.reconstruction.images.values() if image.has_pose}
    return [number for number, photo in enumerate(task.photos) if photo.file not in placed]


def go_on(model: Model, task: Task, database: Path, count: Count) -> Model:
    """The incremental model with what more the database's matches place by now; `model` itself stays as it is."""
    folder = Path(tempfile.mkdtemp(prefix="so-far-", dir=task.scratch))
    model.reconstruction.write_binary(folder)
    manager = pycolmap.ReconstructionManager()
    manager.read(folder)
    options = _options(task)
    options.multiple_models = False
    _place(options, task, database, manager, count)
    return Model(model.mapper, manager.get(0))


def _incremental(task: Task, database: Path, count: Count) -> list[Model]:
    """Schönberger and Frahm, "Structure-from-Motion Revisited" (2016)."""
    manager = pycolmap.ReconstructionManager()
    _place(_options(task), task, database, manager, count)
    return [Model(INCREMENTAL, manager.get(number)) for number in range(manager.size())]


def _options(task: Task) -> Any:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = MIN_MODEL
    options.min_num_matches = MIN_MATCHES
    options.max_num_models = MAX_MODELS
    options.ba_global_frames_ratio = options.ba_global_points_ratio = GROWTH
    options.ba_local_max_refinements = 1
    options.ba_local_function_tolerance = options.ba_global_function_tolerance = TOLERANCE
    options.triangulation.ignore_two_view_tracks = False  # twice the points to begin training with
    options.num_threads = usable_cores()
    options.random_seed = task.options.seed
    options.extract_colors = False  # done once, on the photos that were made small
    return options


def _place(options: Any, task: Task, database: Path, manager: Any, count: Count) -> None:
    names = pycolmap.IncrementalPipelineCallback

    def on_photo() -> None:
        count(manager.get(manager.size() - 1).num_reg_images(), len(task.photos))

    with pycolmap.Database.open(database) as opened:
        pipeline = pycolmap.IncrementalPipeline(options, opened, manager)
        pipeline.add_callback(names.INITIAL_IMAGE_PAIR_REG_CALLBACK.value, on_photo)
        pipeline.add_callback(names.NEXT_IMAGE_REG_CALLBACK.value, on_photo)
        pipeline.run()


def _global(task: Task, database: Path) -> list[Model]:
    """Pan et al., "Global Structure-from-Motion Revisited" (2024). Tells nothing while it runs."""
    if not all_focals_known(database):
        pycolmap.calibrate_view_graph(database)
    options = pycolmap.GlobalPipelineOptions()
    options.min_model_size = MIN_MODEL
    options.min_num_matches = MIN_MATCHES
    options.random_seed = task.options.seed
    options.num_threads = usable_cores()
    folder = Path(tempfile.mkdtemp(prefix="global-", dir=task.scratch))
    found = pycolmap.global_mapping(database, task.photos_folder, folder, options)
    return [Model("global", reconstruction) for reconstruction in found.values()]

"""Mapping: COLMAP's incremental mapper, its global one, and which result is the better."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pycolmap

from services.sfm.colmap.database import MIN_NUM_MATCHES, OnProgress, all_focal_lengths_known
from services.sfm.messages import ColmapTask
from spaceport.pipeline.reports.sfm import CameraReport, ReconstructionReport
from spaceport.simd.cores import usable_cores

INCREMENTAL: Final = "incremental"
MIN_MODEL_SIZE: Final = 3  # COLMAP's 10 throws small sets away
MIN_POINTS: Final = 15  # that a photo must observe to count as registered: the global mapper forces photos in
MAX_NUM_MODELS: Final = 10
BA_GLOBAL_RATIO: Final = 1.6  # all cameras are adjusted anew each time the model has grown by so much
BA_TOLERANCE: Final = 1e-4  # relative change of the cost that ends an adjustment; the robust one at the end is exact


@dataclass(frozen=True)
class MappedModel:
    """One `pycolmap.Reconstruction` and the mapper that made it."""

    mapper: str
    reconstruction: Any

    @property
    def score(self) -> tuple[int, int]:
        """Photos that observe enough points, then points: the better model has more."""
        images = self.reconstruction.images.values()
        firm = sum(image.has_pose and image.num_points3D >= MIN_POINTS for image in images)
        return firm, self.reconstruction.num_points3D()

    def registered_files(self) -> set[str]:
        return {image.name for image in self.reconstruction.images.values() if image.has_pose}

    def figures(self) -> ReconstructionReport:
        return ReconstructionReport(
            mapper=self.mapper,
            photos=self.reconstruction.num_reg_images(),
            points=self.reconstruction.num_points3D(),
            reprojection_error_px=self.reconstruction.compute_mean_reprojection_error(),
            track_length=self.reconstruction.compute_mean_track_length(),
        )

    def cameras(self) -> list[CameraReport]:
        return [
            CameraReport(model=each.model.name, width=each.width, height=each.height, params=each.params.tolist())
            for each in self.reconstruction.cameras.values()
        ]


def map_photos(task: ColmapTask, database: Path, on_progress: OnProgress) -> list[MappedModel]:
    """All models of the first mapper, the best first. Empty when nothing could be registered."""
    if task.options.mapper == "global":
        return best_first(global_mapping(task, database))
    return best_first(_incremental_mapping(task, database, on_progress))


def best_first(models: list[MappedModel]) -> list[MappedModel]:
    return sorted(models, key=lambda model: model.score, reverse=True)


def max_registered(models: list[MappedModel]) -> int:
    """Photos registered firmly in the model that has most."""
    return max((model.score[0] for model in models), default=0)


def separate_parts(models: list[MappedModel]) -> list[list[str]]:
    """Files of the photos that show other places, place by place: models most of whose photos no better model has."""
    seen = models[0].registered_files()
    parts = []
    for model in models[1:]:
        registered = model.registered_files()
        new = registered - seen
        if 2 * len(new) > len(registered):
            parts.append(sorted(new))
            seen |= new
    return parts


def unregistered(model: MappedModel, task: ColmapTask) -> list[int]:
    """Numbers of the task's photos that the model did not register."""
    registered = model.registered_files()
    return [number for number, photo in enumerate(task.photos) if photo.file not in registered]


def continue_mapping(model: MappedModel, task: ColmapTask, database: Path, on_progress: OnProgress) -> MappedModel:
    """The incremental model with the photos that the database's new matches register; `model` itself is not changed."""
    folder = Path(tempfile.mkdtemp(prefix="so-far-", dir=task.scratch))
    model.reconstruction.write_binary(folder)
    manager = pycolmap.ReconstructionManager()
    manager.read(folder)
    options = _incremental_options(task, database)
    options.multiple_models = False
    _run_incremental_pipeline(options, task, database, manager, on_progress)
    return MappedModel(model.mapper, manager.get(0))


def _incremental_mapping(task: ColmapTask, database: Path, on_progress: OnProgress) -> list[MappedModel]:
    """Schönberger and Frahm, "Structure-from-Motion Revisited" (2016)."""
    manager = pycolmap.ReconstructionManager()
    _run_incremental_pipeline(_incremental_options(task, database), task, database, manager, on_progress)
    return [MappedModel(INCREMENTAL, manager.get(number)) for number in range(manager.size())]


def _incremental_options(task: ColmapTask, database: Path) -> Any:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = MIN_MODEL_SIZE
    options.min_num_matches = MIN_NUM_MATCHES
    options.max_num_models = MAX_NUM_MODELS
    options.ba_global_frames_ratio = options.ba_global_points_ratio = BA_GLOBAL_RATIO
    options.ba_local_max_refinements = 1
    options.ba_local_function_tolerance = options.ba_global_function_tolerance = BA_TOLERANCE
    options.triangulation.ignore_two_view_tracks = False  # twice the points to begin training with
    options.num_threads = usable_cores()
    options.random_seed = task.options.seed
    options.extract_colors = False  # done once, on the undistorted photos
    options.constant_cameras = _calibrated_cameras(task, database)
    return options


def _calibrated_cameras(task: ColmapTask, database: Path) -> set[int]:
    """COLMAP's ids of cameras that stay as they are while photos are added: views from above, adjusted without any
    knowledge of heights, would trade their focal length and distortion for bent ground."""
    known = {photo.file for photo in task.photos if task.cameras[photo.camera].is_calibrated}
    if not known:
        return set()
    with pycolmap.Database.open(database) as opened:
        return {image.camera_id for image in opened.read_all_images() if image.name in known}


def _run_incremental_pipeline(
    options: Any, task: ColmapTask, database: Path, manager: Any, on_progress: OnProgress
) -> None:
    callbacks = pycolmap.IncrementalPipelineCallback

    def on_registered() -> None:
        on_progress(manager.get(manager.size() - 1).num_reg_images(), len(task.photos))

    with pycolmap.Database.open(database) as opened:
        pipeline = pycolmap.IncrementalPipeline(options, opened, manager)
        pipeline.add_callback(callbacks.INITIAL_IMAGE_PAIR_REG_CALLBACK.value, on_registered)
        pipeline.add_callback(callbacks.NEXT_IMAGE_REG_CALLBACK.value, on_registered)
        _run_reproducibly(pipeline, manager)


def _run_reproducibly(pipeline: Any, manager: Any) -> None:
    """`pipeline.run()`, but with the search for the initial pair on one thread.

    On several threads COLMAP tries pairs side by side and stops every search at the first success, so the load of the
    machine would decide which of several good pairs the model starts from. Bundle adjustment keeps its threads.
    """
    cache = pipeline.database_cache
    if cache.num_images() == 0:
        return
    mapper = pycolmap.IncrementalMapper(cache)
    options = pipeline.options.get_mapper()
    options.num_threads = 1
    stop = pycolmap.IncrementalPipelineStatus.STOP
    status = pipeline.reconstruct(mapper, options, manager.size() > 0)
    for relaxed in ("init_min_num_inliers", "init_min_tri_angle") * 2:  # as `run` relaxes them
        if status == stop or mapper.num_total_reg_images() == cache.num_images():
            return
        value = getattr(options, relaxed)
        setattr(options, relaxed, value // 2 if isinstance(value, int) else value / 2)
        mapper.reset_initialization_stats()
        status = pipeline.reconstruct(mapper, options, False)


def global_mapping(task: ColmapTask, database: Path) -> list[MappedModel]:
    """Pan et al., "Global Structure-from-Motion Revisited" (2024). Reports no progress while it runs.

    Its positions come from tracks of three photos and more. The retriangulation at its end adds those of two, as the
    incremental mapper does: with them from the start it takes three times as long, and ends with the same points.
    """
    if not all_focal_lengths_known(database):
        pycolmap.calibrate_view_graph(database)
    options = pycolmap.GlobalPipelineOptions()
    options.min_model_size = MIN_MODEL_SIZE
    options.min_num_matches = MIN_NUM_MATCHES
    options.random_seed = task.options.seed
    options.num_threads = usable_cores()
    options.mapper.retriangulation.ignore_two_view_tracks = False
    folder = Path(tempfile.mkdtemp(prefix="global-", dir=task.scratch))
    models = pycolmap.global_mapping(database, task.photos_folder, folder, options)
    return [MappedModel("global", reconstruction) for reconstruction in models.values()]

"""The rasteriser's interface: takes arrays and a camera, returns pictures, losses and gradients."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from spaceport.simd.cores import usable_cores
from spaceport.simd.lanes import LANES
from spaceport.simd.thread_pool import ThreadPool
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Floats, Gaussians
from spaceport.splats.render import colour
from spaceport.splats.render.adam import BETAS, FlatArrays, adam
from spaceport.splats.render.buffers import GradBuffers, ModelBuffers, make_canvas, no_lists, plan_lists, split
from spaceport.splats.render.interface import (
    NAMES,
    Exposure,
    LossAndGrads,
    Params,
    Photo,
    check_params,
    to_parameters,
)
from spaceport.splats.render.iteration import loss_and_grads, rasterize
from spaceport.splats.render.kernel_arguments import COUNT, Canvas, FrameSettings
from spaceport.splats.render.loss import REACH
from spaceport.splats.render.packed_camera import PackedCamera, pack_camera
from spaceport.splats.render.project import project
from spaceport.splats.scratch import LARGE, free_pages

_CANVASES = 4
_NO_EXPOSURE = np.empty(0, np.float32)


class SimdRasteriser:
    """Renders Gaussians and differentiates the loss of a picture, with explicit SIMD on the CPU.

    Keeps its buffers between calls. Not for calls side by side: use one per thread of your program.
    """

    def __init__(self, threads: int | None = None, antialiased: bool = False) -> None:
        """Start the threads.

        Pictures do not depend on the number of threads; gradients are equal, bit for bit, for an equal number.

        Args:
            threads: that work on a picture; by default, one for each core that this process may use.
            antialiased: opacities compensate the blur of the projection, see project.py; a model must be rendered the
                way it was trained.

        Raises:
            ValueError: for less than one thread.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"at least one thread is needed, not {threads}")
        self._pool = ThreadPool(threads or usable_cores())
        self._antialiased = antialiased
        self._model = ModelBuffers(0, 1)
        self._grads: GradBuffers | None = None
        self._canvases: dict[tuple[int, int], Canvas] = {}
        self._lists = no_lists(self._pool.count)

    @property
    def threads(self) -> int:
        """How many threads work on a picture."""
        return self._pool.count

    def render(
        self,
        params: Params,
        camera: Camera,
        sh_degree: int | None = None,
        background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Floats:
        """Render a picture.

        Args:
            params: a model, see `Params` for the shapes.
            camera: whose width and height the picture has.
            sh_degree: at most this SH degree is used.
            background: red, green and blue behind the Gaussians.

        Returns:
            [H, W, 3] float32, the caller's own, not clamped above.

        Raises:
            ValueError: for arrays of wrong shape or type.
        """
        degree, canvas = check_params(params, sh_degree), self._canvas_of(camera.height, camera.width)
        packed_camera = self._project(params, camera, degree, canvas)
        settings = FrameSettings(packed_camera, degree, _rgb(background), _NO_EXPOSURE, l1_weight=0.0, ssim_weight=0.0)
        projection, lists = self._model.projection, self._lists
        self._pool.parallel_for(lambda thread: rasterize(thread, projection, lists, canvas, settings), self.threads)
        return canvas.picture[: camera.height, : camera.width].copy()

    def free_large_buffers(self) -> None:
        """Let the memory of the last model go if it is much; the next picture takes it again."""
        if self._model.projection.records.nbytes >= LARGE:
            self._model, self._grads = ModelBuffers(0, 1), None
            self._lists = no_lists(self._pool.count)

    def loss_and_grads(
        self,
        params: Params,
        camera: Camera,
        photo: Photo,
        sh_degree: int | None = None,
        ssim_weight: float = 0.2,
        exposure: Exposure | None = None,
        background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> LossAndGrads:
        """Render a picture, compare it with a photo, and differentiate the loss.

        The loss is that of 3DGS: (1 - ssim_weight) mean |picture - photo| + ssim_weight (1 - mean SSIM), SSIM over
        windows inside the picture. Pictures with a side under 11 pixels have no such window: there it is L1 alone.

        Args:
            params, camera, sh_degree, background: as for `render`.
            photo: [H, W, 3] float32 0 to 1, or uint8.
            ssim_weight: 0 to 1.
            exposure: gain [3] and bias [3] that are applied before the comparison.

        Raises:
            ValueError: for arrays of wrong shape or type.
        """
        degree = check_params(params, sh_degree)
        if photo.shape != (camera.height, camera.width, 3) or photo.dtype not in (np.float32, np.uint8):
            raise ValueError(f"photo must be [{camera.height}, {camera.width}, 3] float32 or uint8")
        canvas, gains_and_biases = self._canvas_of(camera.height, camera.width), _NO_EXPOSURE
        if exposure is not None:
            gains_and_biases = np.concatenate([np.asarray(part, np.float32).reshape(3) for part in exposure])
        windows = max(0, camera.height - REACH) * max(0, camera.width - REACH) * 3
        share = ssim_weight if windows else 0.0
        settings = FrameSettings(
            camera=self._project(params, camera, degree, canvas, photo),
            sh_degree=degree,
            background=_rgb(background),
            exposure=gains_and_biases,
            l1_weight=(1 - share) / (3 * camera.height * camera.width),
            ssim_weight=-share / max(windows, 1),
        )
        buffers = self._differentiate(params, canvas, settings)
        loss = (1 - share) * float(canvas.row_l1.mean()) / (3 * camera.width)
        if share:
            loss += share * (1 - float(canvas.row_ssim.sum()) / windows)
        grads = {name: _read_only(array) for name, array in buffers.by_name.items()}
        if exposure is not None:
            sums = canvas.row_grad_exposure.sum(axis=0).astype(np.float32)
            grads |= {"gain": sums[:3], "bias": sums[3:]}
        projection = self._model.projection
        radii = _read_only(projection.radii[: len(params["means"])])
        rows = [projection.rows[first : first + count] for first, count in projection.regions.tolist()]
        return LossAndGrads(
            loss=loss,
            image=_read_only(canvas.picture[: camera.height, : camera.width]),
            grads=grads,
            visible=radii > 0,
            gaussian_ids=_read_only(np.concatenate(rows)),
            radii=radii,
            means2d_grads=_read_only(buffers.means2d),
        )

    def adam(
        self, params: Params, moments: tuple[Params, Params], grads: Params, rates: dict[str, float], steps: int
    ) -> None:
        """One update by Adam of `params` and their moments, in place.

        Args:
            params: as for `render`.
            moments: first and second, shaped as `params`.
            grads: shaped as `params`.
            rates: learning rates by name.
            steps: updates so far, this one included.

        Raises:
            ValueError: for arrays of wrong shape or type.
        """
        for arrays in (*moments, grads):
            if check_params(arrays, None) != check_params(params, None) or len(arrays["means"]) != len(params["means"]):
                raise ValueError("moments and gradients must have the shapes of the parameters")
        values, firsts, seconds, slopes = (_flatten(arrays) for arrays in (params, *moments, grads))
        corrections = np.array([1 / (1 - BETAS[0] ** steps), (1 - BETAS[1] ** steps) ** -0.5], np.float32)
        rate_of_array, parts = np.array([rates[name] for name in NAMES], np.float32), self.threads

        def update(part: int) -> None:
            adam(part, parts, values, firsts, seconds, slopes, rate_of_array, corrections)

        self._pool.parallel_for(update, parts)

    def _project(
        self, params: Params, camera: Camera, sh_degree: int, canvas: Canvas, photo: Photo | None = None
    ) -> PackedCamera:
        """Project the model and plan each thread's tiles; also copy the photo to the canvas."""
        count = len(params["means"])
        if len(self._model.projection.radii) != count + LANES:
            self._model = ModelBuffers(count, self.threads)
            self._grads = None
        parts, projection, parameters = self._model.parts, self._model.projection, to_parameters(params)
        packed_camera = pack_camera(camera, self._antialiased)
        strips = [] if photo is None else split(camera.height, self.threads, 1)
        columns, rows = canvas.columns, len(canvas.tile_costs) // canvas.columns
        tile_counts = np.empty((len(parts), rows + 1, columns + 1), np.int32)

        def run(k: int) -> None:
            if k < len(parts):
                scratch = np.empty(colour.SCRATCH, np.float32)
                projection.regions[k, COUNT] = project(
                    parameters, sh_degree, packed_camera, parts[k], projection, tile_counts[k], scratch
                )
                free_pages(parameters.shN[parts[k].first : parts[k].end])
            if photo is not None and k < len(strips):
                first, end = strips[k]
                scale = np.float32(1 if photo.dtype == np.float32 else 1 / 255)
                np.multiply(photo[first:end], scale, out=canvas.photo[first:end, : canvas.width], dtype=np.float32)

        self._pool.parallel_for(run, max(len(parts), len(strips)))
        self._lists = plan_lists(self._lists, tile_counts, self._model.visible)
        return packed_camera

    def _canvas_of(self, height: int, width: int) -> Canvas:
        """The buffers for a size. A survey's photos have a few sizes, in any order: the last ones are kept."""
        canvas = self._canvases.pop((height, width), None) or make_canvas(height, width)
        self._canvases[height, width] = canvas
        if len(self._canvases) > _CANVASES:
            del self._canvases[next(iter(self._canvases))]
        return canvas

    def _differentiate(self, params: Params, canvas: Canvas, settings: FrameSettings) -> GradBuffers:
        projection, lists = self._model.projection, self._lists
        grads = self._grads
        self._grads = None  # kept again only after success: its sums must be zero between calls
        if grads is None or any(grads.by_name[name].shape != params[name].shape for name in NAMES):
            grads = GradBuffers(params, projection, self.threads)
        if settings.sh_degree < grads.sh_degree:
            grads.by_name["shN"][:] = 0.0
        grads.sh_degree = settings.sh_degree
        parameters, sums, barrier = to_parameters(params), grads.sums, np.zeros(1, np.int32)

        def run(thread: int) -> None:
            loss_and_grads(thread, barrier, parameters, projection, lists, canvas, sums, settings)

        self._pool.parallel_for(run, self.threads)
        self._grads = grads
        return grads


def _flatten(params: Params) -> FlatArrays:
    means, quats, scales, opacities, sh0, shN = (array.reshape(-1) for array in to_parameters(params))
    return means, quats, scales, opacities, sh0, shN


def _rgb(background: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = background
    return float(red), float(green), float(blue)


_A = TypeVar("_A", bound=npt.NDArray[Any])


def _read_only(array: _A) -> _A:
    view = array.view()
    view.setflags(write=False)
    return view


def render(
    gaussians: Gaussians,
    camera: Camera,
    *,
    sh_degree: int | None = None,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    threads: int | None = None,
) -> Floats:
    """One picture [H, W, 3] float32 of a model, see `SimdRasteriser.render`. For many, keep a `SimdRasteriser`."""
    rasteriser = SimdRasteriser(threads, gaussians.antialiased)
    return rasteriser.render(gaussians.arrays(), camera, sh_degree, background)

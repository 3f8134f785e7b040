"""The rasteriser's face: takes arrays and a camera, returns pictures, losses and gradients."""

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
from spaceport.splats.render.adam import BETAS, adam
from spaceport.splats.render.buffers import GradBuffers, ModelBuffers, make_canvas, no_lists, plan_lists, split
from spaceport.splats.render.iteration import Canvas, Task, learn, show
from spaceport.splats.render.loss import REACH
from spaceport.splats.render.project import project
from spaceport.splats.render.step import NAMES, Arrays, Exposure, Params, Photo, Step, arrays_of, degree_of
from spaceport.splats.render.view import pack


class Rasteriser:
    """Draws Gaussians and differentiates the picture's loss. Keeps its buffers; use one per thread of your program."""

    def __init__(self, threads: int | None = None, antialiased: bool = False) -> None:
        """`threads`: how many work on a picture; without it, all cores this process may use. `antialiased`: opacities
        make up for the blur, see project.py; a model must be drawn the way it was trained.

        Pictures do not depend on it; gradients are equal, bit for bit, for an equal number of threads.

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
        """[H, W, 3] float32 picture of the caller's own, not clamped above. `sh_degree`: at most this degree is used.

        Raises:
            ValueError: for arrays of wrong shape or type.
        """
        degree, canvas = degree_of(params, sh_degree), self._canvas_for(camera.height, camera.width)
        eye = self._project(params, camera, degree, canvas)
        task = Task(eye, degree, _colour(background), _AS_DRAWN, (0.0, 0.0))
        visible, lists = self._model.visible, self._lists
        self._pool.parallel_for(lambda part: show(part, visible, lists, canvas, task), self.threads)
        return canvas.picture[: camera.height, : camera.width].copy()

    def loss_and_grads(
        self,
        params: Params,
        camera: Camera,
        photo: Photo,
        sh_degree: int | None = None,
        ssim_weight: float = 0.2,
        exposure: Exposure | None = None,
        background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Step:
        """Draw, compare with `photo` [H, W, 3] (float32 0 to 1, or uint8), and differentiate.

        The loss is that of 3DGS: (1 - ssim_weight) mean |picture - photo| + ssim_weight (1 - mean SSIM), SSIM over
        windows inside the picture. Pictures with a side under 11 pixels have no such window: there it is L1 alone.

        Raises:
            ValueError: for arrays of wrong shape or type.
        """
        degree = degree_of(params, sh_degree)
        if photo.shape != (camera.height, camera.width, 3) or photo.dtype not in (np.float32, np.uint8):
            raise ValueError(f"photo must be [{camera.height}, {camera.width}, 3] float32 or uint8")
        canvas, gains = self._canvas_for(camera.height, camera.width), _AS_DRAWN
        if exposure is not None:
            gains = np.concatenate([np.asarray(part, np.float32).reshape(3) for part in exposure])
        windows = max(0, camera.height - REACH) * max(0, camera.width - REACH) * 3
        share = ssim_weight if windows else 0.0
        weights = ((1 - share) / (3 * camera.height * camera.width), -share / max(windows, 1))
        eye = self._project(params, camera, degree, canvas, photo)
        grads = self._learn(params, canvas, Task(eye, degree, _colour(background), gains, weights))
        value = (1 - share) * float(canvas.errors.mean()) / (3 * camera.width)
        if share:
            value += share * (1 - float(canvas.similarities.sum()) / windows)
        by_params = {name: _read_only(array) for name, array in grads.by_params.items()}
        if exposure is not None:
            sums = canvas.by_exposure.sum(axis=0).astype(np.float32)
            by_params |= {"gain": sums[:3], "bias": sums[3:]}
        visible = self._model.visible
        radii = _read_only(visible.radii[: len(params["means"])])
        rows = [visible.rows[first : first + count] for first, count in visible.regions.tolist()]
        return Step(
            loss=value,
            image=_read_only(canvas.picture[: camera.height, : camera.width]),
            grads=by_params,
            visible=radii > 0,
            index=_read_only(np.concatenate(rows)),
            radii=radii,
            screen_grads=_read_only(grads.screen),
        )

    def adam(
        self, params: Params, moments: tuple[Params, Params], grads: Params, rates: dict[str, float], steps: int
    ) -> None:
        """One update by Adam of `params` and their moments, in place; `steps` counts this one too.

        Raises:
            ValueError: for arrays of wrong shape or type.
        """
        for one in (*moments, grads):
            if degree_of(one, None) != degree_of(params, None) or len(one["means"]) != len(params["means"]):
                raise ValueError("moments and gradients must have the shapes of the parameters")
        values, firsts, seconds, slopes = (_flat(one) for one in (params, *moments, grads))
        corrections = np.array([1 / (1 - BETAS[0] ** steps), (1 - BETAS[1] ** steps) ** -0.5], np.float32)
        by_array, parts = np.array([rates[name] for name in NAMES], np.float32), self.threads
        self._pool.parallel_for(lambda k: adam(k, parts, values, firsts, seconds, slopes, by_array, corrections), parts)

    def _project(
        self, params: Params, camera: Camera, degree: int, canvas: Canvas, photo: Photo | None = None
    ) -> Floats:
        """Records of the visible, and each thread's tiles; also lays out the photo."""
        count = len(params["means"])
        if len(self._model.visible.radii) != count + LANES:
            self._model, self._grads = ModelBuffers(count, self.threads), None
        parts, visible, eye, arrays = (
            self._model.parts,
            self._model.visible,
            pack(camera, self._antialiased),
            arrays_of(params),
        )
        strips = [] if photo is None else split(camera.height, self.threads, 1)
        columns, rows = canvas.columns, len(canvas.loads) // canvas.columns
        loads = np.empty((len(parts), rows + 1, columns + 1), np.int32)

        def one(part: int) -> None:
            if part < len(parts):
                place = (*parts[part], int(visible.regions[part, 0]))
                slots = (visible.rows, visible.keys, visible.columns, visible.tile_rows)
                sizes, scratch = (visible.radii, loads[part]), np.empty(colour.SCRATCH, np.float32)
                visible.regions[part, 1] = project(arrays, degree, eye, place, visible.records, slots, sizes, scratch)
            if photo is not None and part < len(strips):
                first, last = strips[part]
                scale = np.float32(1 if photo.dtype == np.float32 else 1 / 255)
                np.multiply(photo[first:last], scale, out=canvas.photo[first:last, : canvas.width], dtype=np.float32)

        self._pool.parallel_for(one, max(len(parts), len(strips)))
        self._lists = plan_lists(self._lists, loads, int(visible.regions[:, 1].sum()))
        return eye

    def _canvas_for(self, height: int, width: int) -> Canvas:
        """Photos of a survey come in a few sizes, in any order: the buffers of the last ones are kept."""
        canvas = self._canvases.pop((height, width), None) or make_canvas(height, width)
        self._canvases[height, width] = canvas
        if len(self._canvases) > _CANVASES:
            del self._canvases[next(iter(self._canvases))]
        return canvas

    def _learn(self, params: Params, canvas: Canvas, task: Task) -> GradBuffers:
        visible, lists = self._model.visible, self._lists
        grads, self._grads = self._grads, None  # comes back when all is done: its sums must be zero between calls
        if grads is None or any(grads.by_params[name].shape != params[name].shape for name in NAMES):
            grads = GradBuffers(params, visible, self.threads)
        if task.degree < grads.degree:
            grads.by_params["shN"][:] = 0.0
        grads.degree = task.degree
        arrays, sums, barrier = arrays_of(params), grads.sums, np.zeros(1, np.int32)
        self._pool.parallel_for(
            lambda part: learn(part, barrier, arrays, visible, lists, canvas, sums, task), self.threads
        )
        self._grads = grads
        return grads


_CANVASES = 4
_AS_DRAWN = np.empty(0, np.float32)  # no exposure


def _flat(params: Params) -> Arrays:
    means, quats, scales, opacities, sh0, rest = (array.reshape(-1) for array in arrays_of(params))
    return means, quats, scales, opacities, sh0, rest


def _colour(background: tuple[float, float, float]) -> tuple[float, float, float]:
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
    """One picture [H, W, 3] float32 of a model. For many, keep a `Rasteriser`."""
    return Rasteriser(threads, gaussians.antialiased).render(gaussians.arrays(), camera, sh_degree, background)

"""The rasteriser's face: takes arrays and a camera, returns pictures, losses and gradients."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from spaceport.splats.cameras import Camera
from spaceport.splats.model import Floats, Gaussians
from spaceport.splats.render import colour
from spaceport.splats.render.backward import pull_back
from spaceport.splats.render.bins import MOST_PAIRS, TILE, fill, find_spans, row_loads, sort_by_depth
from spaceport.splats.render.buffers import Band, FrameBuffers, GradBuffers, ModelBuffers, balanced, split
from spaceport.splats.render.chain import BLOCK, chain, forget
from spaceport.splats.render.forward import draw
from spaceport.splats.render.loss import REACH, expose, expose_back, gradient, scratch_size, similarity
from spaceport.splats.render.project import project
from spaceport.splats.render.step import NAMES, Exposure, Params, Step, arrays_of, degree_of
from spaceport.splats.render.vector import LANES
from spaceport.splats.render.view import pack
from spaceport.splats.render.workers import Workers, usable_cores


class Rasteriser:
    """Draws Gaussians and differentiates the picture's loss. Keeps its buffers; use one per thread of your program."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads`: how many work on a picture; without it, all cores this process may use.

        Pictures do not depend on it; gradients are equal, bit for bit, for an equal number of threads.

        Raises:
            ValueError: for less than one thread.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"at least one thread is needed, not {threads}")
        self._workers = Workers(threads or usable_cores())
        self._bands = [Band.empty() for _ in range(self._workers.count)]
        self._model = ModelBuffers(0, 1)
        self._grads: GradBuffers | None = None
        self._frames: dict[tuple[int, int], FrameBuffers] = {}
        self._frame = FrameBuffers(1, 1)
        self._active = 0

    @property
    def threads(self) -> int:
        """How many threads work on a picture."""
        return self._workers.count

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
        self._project(params, camera, degree_of(params, sh_degree))
        self._draw(background)
        return self._frame.picture[: camera.height, : camera.width].copy()

    def loss_and_grads(
        self,
        params: Params,
        camera: Camera,
        photo: Floats,
        sh_degree: int | None = None,
        ssim_weight: float = 0.2,
        exposure: Exposure | None = None,
        background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Step:
        """Draw, compare with `photo` [H, W, 3] float32 (0 to 1), and differentiate.

        The loss is that of 3DGS: (1 - ssim_weight) mean |picture - photo| + ssim_weight (1 - mean SSIM), SSIM over
        windows inside the picture. Pictures with a side under 11 pixels have no such window: there it is L1 alone.

        Raises:
            ValueError: for arrays of wrong shape or type.
        """
        degree = degree_of(params, sh_degree)
        if photo.shape != (camera.height, camera.width, 3) or photo.dtype != np.float32:
            raise ValueError(f"photo must be [{camera.height}, {camera.width}, 3] float32")
        eye = self._project(params, camera, degree)
        self._draw(background)
        frame = self._frame
        frame.photo[: camera.height, : camera.width] = photo
        pattern = None if exposure is None else _pattern(exposure)
        value = self._compare(ssim_weight, pattern)
        grads = self._pull_back(params, eye, degree)
        by_params = {name: _read_only(array) for name, array in grads.by_params.items()}
        if pattern is not None:
            sums = frame.by_exposure.sum(axis=0).astype(np.float32)
            by_params |= {"gain": sums[:3], "bias": sums[3:]}
        radii = _read_only(self._model.radii[: len(params["means"])])
        return Step(
            loss=value,
            image=_read_only(frame.picture[: camera.height, : camera.width]),
            grads=by_params,
            visible=radii > 0,
            index=_read_only(grads.written),
            radii=radii,
            screen_grads=_read_only(grads.screen),
        )

    def _project(self, params: Params, camera: Camera, degree: int) -> Floats:
        """Records of the visible, their order, and the bands."""
        count, threads = len(params["means"]), self._workers.count
        if len(self._model.radii) != count + LANES:
            self._model, self._grads = ModelBuffers(count, threads), None
        self._frame = self._frame_for(camera.height, camera.width)
        model, frame, eye = self._model, self._frame, pack(camera)
        arrays = arrays_of(params)

        def one(part: int) -> None:
            first, last = model.parts[part]
            place = (first, last, int(model.regions[part, 0]))
            scratch = np.empty(colour.SCRATCH, np.float32)
            slots = (model.rows, model.keys, *model.boxes)
            model.regions[part, 1] = project(arrays, degree, eye, place, model.records, slots, model.radii, scratch)

        self._workers.each(one, len(model.parts))
        self._visible = sort_by_depth(model.keys, model.regions, model.order, model.work)
        row_loads(model.boxes, model.regions, frame.hits)
        self._share_rows()
        return eye

    def _frame_for(self, height: int, width: int) -> FrameBuffers:
        """Photos of a survey come in a few sizes, in any order: the buffers of the last ones are kept."""
        frame = self._frames.pop((height, width), None) or FrameBuffers(height, width)
        self._frames[height, width] = frame
        if len(self._frames) > _FRAMES:
            del self._frames[next(iter(self._frames))]
        return frame

    def _share_rows(self) -> None:
        """Give each thread a band of tile rows with about the same work."""
        frame = self._frame
        columns, rows = frame.tiles
        runs = balanced(frame.hits[1, :rows] + _TILE_LOAD * columns, self._workers.count)
        if frame.hits[0, :rows].sum() > MOST_PAIRS:
            raise ValueError(_TOO_MANY)
        self._active = len(runs)
        for k, (first, last) in enumerate(runs):
            self._bands[k].fit((first, last), int(frame.hits[0, first:last].sum()), columns, frame.width)
            frame.band_of[first:last] = k

    def _draw(self, background: tuple[float, float, float]) -> None:
        model, frame = self._model, self._frame
        columns = frame.tiles[0]
        ground = (float(background[0]), float(background[1]), float(background[2]))

        def one(part: int) -> None:
            band = self._bands[part]
            order = model.order[: self._visible]
            band.found = find_spans(model.records, order, model.boxes, band.rows, columns, band.spans, band.offsets)
            if band.found < 0:
                raise ValueError(_TOO_MANY)
            band.fit_lists(int(band.offsets[-1]))
            fill(band.spans, band.found, band.rows[0] * columns, band.offsets, band.used, band.lists)
            listed = (band.lists, band.offsets, band.used)
            draw(model.records, listed, band.rows, columns, ground, frame.picture, band.scratch)

        self._workers.each(one, self._active)

    def _pixel_rows(self, part: int) -> tuple[int, int]:
        first, last = self._bands[part].rows
        return first * TILE, min(last * TILE, self._frame.height)

    def _compare(self, ssim_weight: float, pattern: Floats | None) -> float:
        """The loss; its gradient by the picture stays in the frame."""
        frame = self._frame
        height, width = size = (frame.height, frame.width)
        if pattern is not None:
            self._workers.each(
                lambda k: expose(frame.picture, frame.exposed, self._pixel_rows(k), pattern), self._active
            )
        shown = frame.picture if pattern is None else frame.exposed
        windows = max(0, height - REACH) * max(0, width - REACH) * 3
        share = ssim_weight if windows else 0.0
        runs = split(height - REACH, self._workers.count, 1) if share else []

        def compare(part: int) -> None:
            scratch = np.empty(scratch_size(width), np.float32)
            similarity(shown, frame.photo, size, runs[part], frame.maps, frame.similarities, scratch)

        def differentiate(part: int) -> None:
            rows, scratch = self._pixel_rows(part), self._bands[part].scratch[: scratch_size(width)]
            weights = ((1 - share) / (3 * height * width), -share / max(windows, 1))
            gradient((shown, frame.photo, frame.by_picture), size, rows, weights, frame.maps, frame.errors, scratch)
            if pattern is not None:
                expose_back(frame.picture, frame.by_picture, rows, pattern, frame.by_exposure)

        self._workers.each(compare, len(runs))
        self._workers.each(differentiate, self._active)
        value = (1 - share) * float(frame.errors.mean()) / (3 * width)
        if share:
            value += share * (1 - float(frame.similarities[: height - REACH].sum()) / windows)
        return value

    def _pull_back(self, params: Params, eye: Floats, degree: int) -> GradBuffers:
        model, frame = self._model, self._frame
        columns = frame.tiles[0]
        grads, self._grads = self._grads, None  # comes back when all is done: its sums must be zero between calls
        if grads is None or any(grads.by_params[name].shape != params[name].shape for name in NAMES):
            grads = GradBuffers(params, model, self._workers.count)
        by_records = grads.by_records

        def pull(part: int) -> None:
            band = self._bands[part]
            listed, pictures = (band.lists, band.offsets, band.used), (frame.picture, frame.by_picture)
            pull_back(model.records, listed, band.rows, columns, pictures, band.scratch, by_records[part])

        self._workers.each(pull, self._active)
        if degree < grads.degree:
            grads.by_params["shN"][:] = 0.0
        grads.degree = degree
        arrays, outputs = arrays_of(params), (*arrays_of(grads.by_params), grads.screen)
        forget(grads.written, model.radii, outputs)
        visible, bands = (model.records, model.rows, model.boxes[1]), (by_records, frame.band_of)

        def back(part: int) -> None:
            run = (int(model.regions[part, 0]), int(model.regions[part, 1]))
            scratch = np.empty(BLOCK + colour.SCRATCH, np.float32)
            chain(arrays, outputs, degree, eye, run, visible, bands, scratch)

        self._workers.each(back, len(model.parts))
        grads.written = np.concatenate([model.rows[first : first + many] for first, many in model.regions])
        self._grads = grads
        return grads


_FRAMES = 4
_TOO_MANY = "the Gaussians are so large that together they cover more tiles than the rasteriser can list"
_TILE_LOAD = 4  # what a tile costs even when empty, in Gaussians


def _pattern(exposure: Exposure) -> Floats:
    """[96] gains repeated over 16 pixels, then biases."""
    return np.concatenate([np.tile(np.asarray(part, np.float32).reshape(3), LANES) for part in exposure])


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
    return Rasteriser(threads).render(gaussians.arrays(), camera, sh_degree, background)

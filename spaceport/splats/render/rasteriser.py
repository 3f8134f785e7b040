"""The rasteriser's face: takes arrays and a camera, returns pictures, losses and gradients."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from spaceport.splats.cameras import Camera
from spaceport.splats.model import Floats, Gaussians
from spaceport.splats.render import colour
from spaceport.splats.render.backward import pull_back
from spaceport.splats.render.bins import MOST_PAIRS, Ints, list_tiles, rows_of
from spaceport.splats.render.buffers import Band, FrameBuffers, GradBuffers, ModelBuffers, balanced, parts_for, split
from spaceport.splats.render.chain import BLOCK, chain, forget
from spaceport.splats.render.forward import draw
from spaceport.splats.render.loss import REACH, compare, expose_back, scratch_size
from spaceport.splats.render.project import project
from spaceport.splats.render.step import NAMES, Exposure, Params, Photo, Step, arrays_of, degree_of
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
        self._bands = [Band() for _ in range(self._workers.count)]
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
        self._workers.each(lambda part: self._draw(part, background, _AS_DRAWN), self._active)
        return self._frame.picture[: camera.height, : camera.width].copy()

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
        eye = self._project(params, camera, degree)
        frame, grads = self._frame, self._take_grads(params)
        gains = _AS_DRAWN if exposure is None else np.concatenate([np.float32(part).reshape(3) for part in exposure])
        windows = max(0, frame.height - REACH) * max(0, frame.width - REACH) * 3
        share = ssim_weight if windows else 0.0
        weights = ((1 - share) / (3 * frame.height * frame.width), -share / max(windows, 1))
        strips = split(frame.height, self.threads, 1)

        def show(part: int) -> None:
            if part < self._active:
                self._draw(part, background, gains)
            if part < len(strips):
                self._lay_out(photo, strips[part])

        self._workers.each(show, max(self._active, len(strips)))
        self._workers.each(lambda part: self._compare(strips[part], weights, gains), len(strips))
        self._pull(grads)
        self._chain(params, eye, degree, grads)
        value = (1 - share) * float(frame.errors.mean()) / (3 * frame.width)
        if share:
            value += share * (1 - float(frame.similarities.sum()) / windows)
        by_params = {name: _read_only(array) for name, array in grads.by_params.items()}
        if exposure is not None:
            sums = frame.by_exposure.sum(axis=0).astype(np.float32)
            by_params |= {"gain": sums[:3], "bias": sums[3:]}
        radii = _read_only(self._model.radii[: len(params["means"])])
        return Step(
            loss=value,
            image=_read_only(frame.picture[: camera.height, : camera.width]),
            grads=by_params,
            visible=radii > 0,
            index=_read_only(np.concatenate(grads.written)),
            radii=radii,
            screen_grads=_read_only(grads.screen),
        )

    def _project(self, params: Params, camera: Camera, degree: int) -> Floats:
        """Records of the visible, and the bands."""
        count = len(params["means"])
        if len(self._model.radii) != count + LANES:
            self._model, self._grads = ModelBuffers(count, parts_for(count, self.threads)), None
        self._frame = self._frame_for(camera.height, camera.width)
        model, eye = self._model, pack(camera)
        arrays = arrays_of(params)
        columns, rows = self._frame.tiles
        loads = np.empty((len(model.parts), rows + 1, columns + 1), np.int32)

        def one(part: int) -> None:
            first, last = model.parts[part]
            place = (first, last, int(model.regions[part, 0]))
            scratch = np.empty(colour.SCRATCH, np.float32)
            slots = (model.rows, model.keys, *model.boxes)
            model.regions[part, 1] = project(
                arrays, degree, eye, place, model.records, slots, (model.radii, loads[part]), scratch
            )

        self._workers.each(one, len(model.parts))
        self._share_tiles(loads.sum(axis=0, dtype=np.int32)[:rows, :columns])
        return eye

    def _frame_for(self, height: int, width: int) -> FrameBuffers:
        """Photos of a survey come in a few sizes, in any order: the buffers of the last ones are kept."""
        frame = self._frames.pop((height, width), None) or FrameBuffers(height, width)
        self._frames[height, width] = frame
        if len(self._frames) > _FRAMES:
            del self._frames[next(iter(self._frames))]
        return frame

    def _share_tiles(self, pairs: Ints) -> None:
        """Give each thread a band with about the same work, by how many Gaussians' boxes hold each tile."""
        if pairs.sum(dtype=np.int64) > MOST_PAIRS:
            raise ValueError("the Gaussians are so large that together they cover more tiles than can be listed")
        columns, visible = self._frame.tiles[0], int(self._model.regions[:, 1].sum())
        runs = balanced(pairs.ravel() + _TILE_LOAD, self.threads)
        self._active = len(runs)
        for band, run in zip(self._bands, runs, strict=False):
            first, last = rows_of(run, columns)
            band.fit(run, int(pairs.ravel()[slice(*run)].sum()), min(visible, int(pairs[first:last].sum())))

    def _draw(self, part: int, background: tuple[float, float, float], gains: Floats) -> None:
        model, frame, band = self._model, self._frame, self._bands[part]
        columns, ground = frame.tiles[0], (float(background[0]), float(background[1]), float(background[2]))
        visible, room = (model.keys, *model.boxes, model.regions), (band.order, band.work, band.spans)
        list_tiles(model.records, visible, band.tiles, columns, room, band.listed)
        pictures = (frame.picture, frame.exposed)
        draw(model.records, band.listed, band.tiles, columns, (ground, gains), pictures, frame.loads, band.scratch)

    def _lay_out(self, photo: Photo, rows: tuple[int, int]) -> None:
        frame, scale = self._frame, np.float32(1 if photo.dtype == np.float32 else 1 / 255)
        place = frame.photo[rows[0] : rows[1], : frame.width]
        np.multiply(photo[rows[0] : rows[1]], scale, out=place, dtype=np.float32)

    def _compare(self, rows: tuple[int, int], weights: tuple[float, float], gains: Floats) -> None:
        """The loss, and its gradient by the picture."""
        frame = self._frame
        shown = frame.exposed if len(gains) else frame.picture
        sums, scratch = (frame.similarities, frame.errors), np.empty(scratch_size(frame.width), np.float32)
        compare((shown, frame.photo, frame.by_picture), (frame.height, frame.width), rows, weights, sums, scratch)
        if len(gains):
            pattern = np.tile(gains.reshape(2, 3), LANES).ravel()
            expose_back(frame.picture, frame.by_picture, rows, pattern, frame.by_exposure)

    def _take_grads(self, params: Params) -> GradBuffers:
        """The buffers of the last call; `_chain` gives them back when all is done, as their sums must be zero between
        calls."""
        grads, self._grads = self._grads, None
        if grads is None or any(grads.by_params[name].shape != params[name].shape for name in NAMES):
            grads = GradBuffers(params, self._model, self.threads)
        return grads

    def _pull(self, grads: GradBuffers) -> None:
        """From the gradient by the picture to that by records. Here the tiles are shared by what drawing them took."""
        frame, drawn = self._frame, self._bands[: self._active]
        columns, pictures = frame.tiles[0], (frame.picture, frame.by_picture)
        runs = balanced(frame.loads, self.threads)

        def one(part: int) -> None:
            first, last = runs[part]
            frame.band_of[first:last] = part
            for band in drawn:
                tiles = (band.tiles[0], max(first, band.tiles[0]), min(last, band.tiles[1]))
                sums, scratch = grads.by_records[part], self._bands[part].scratch
                pull_back(self._model.records, band.listed, tiles, columns, pictures, scratch, sums)

        self._workers.each(one, len(runs))

    def _chain(self, params: Params, eye: Floats, degree: int, grads: GradBuffers) -> None:
        """From gradients by records to those by parameters."""
        model = self._model
        if degree < grads.degree:
            grads.by_params["shN"][:] = 0.0
        grads.degree = degree
        arrays, outputs = arrays_of(params), (*arrays_of(grads.by_params), grads.screen)
        frame, visible = self._frame, (model.records, model.rows, model.boxes)
        bands = (grads.by_records, frame.band_of, frame.tiles[0])

        def one(part: int) -> None:
            first, count = int(model.regions[part, 0]), int(model.regions[part, 1])
            forget(grads.written[part], model.radii, outputs)
            scratch = np.empty(BLOCK + colour.SCRATCH, np.float32)
            chain(arrays, outputs, degree, eye, (first, count), visible, bands, scratch)
            grads.written[part] = model.rows[first : first + count].copy()

        self._workers.each(one, len(model.parts))
        self._grads = grads


_FRAMES = 4
_TILE_LOAD = 4  # what a tile costs even when empty, in Gaussians
_AS_DRAWN = np.empty(0, np.float32)  # no exposure


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

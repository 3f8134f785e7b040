"""Images and meta.json back to Gaussians, for versions 2 and 1 and for `sogs` 1.0.0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.extras import frame_of
from spaceport.splats.frame import Frame
from spaceport.splats.model import Floats, Gaussians
from spaceport.splats.scratch import Index, allocate, row_blocks
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.attributes import codebook, opacity, positions, rotations
from spaceport.splats.sog.codec import images
from spaceport.splats.sog.codec.errors import BrokenSog
from spaceport.splats.sog.codec.meta import MetaSogs, MetaV1, MetaV2

Bytes = NDArray[np.uint8]
Fetch = Callable[[str], bytes]
"""The bytes of a file by its name; raises BrokenSog when it is not there."""

CENTROIDS_PER_ROW = 64
COEFFICIENTS_OF_WIDTH = {CENTROIDS_PER_ROW * size: size for size in SHN_SIZES[1:]}
BYTES_PER_PIXEL = 32  # the decoder, Pillow and numpy each hold a copy
LARGEST_PALETTE = 65536


class _ImageReader:
    """The images of one model, decoded one by one within a budget.

    The first per-Gaussian image sets the size that the others must have.
    """

    def __init__(self, fetch: Fetch, count: int, budget: int) -> None:
        self._fetch = fetch
        self._count = count
        self._budget = budget
        self._size: tuple[int, int] | None = None

    def rows(self, name: str, channels: int) -> Bytes:
        """The pixels of the first `count` Gaussians, [N,channels]."""
        data = self._fetch(name)
        size = images.size_of(data, name)
        if self._size is None:
            self._size = size
            if size[0] * size[1] < self._count:
                raise BrokenSog(f"{name} has {size[0]} x {size[1]} pixels, fewer than the {self._count} Gaussians.")
            if BYTES_PER_PIXEL * size[0] * size[1] > self._budget:
                raise BrokenSog(f"{name} has {size[0]} x {size[1]} pixels, more than the memory limit allows.")
        if size != self._size:
            raise BrokenSog(
                f"{name} is {size[0]} x {size[1]}; the images before it are {self._size[0]} x {self._size[1]}."
            )
        return images.decode(data, name, channels).reshape(-1, channels)[: self._count].copy()

    def centroids(self, name: str, count: int | None) -> Bytes:
        """The palette [K,C,3]; `count` None means as many as there are (version 1)."""
        data = self._fetch(name)
        width, height = images.size_of(data, name)
        size = COEFFICIENTS_OF_WIDTH.get(width)
        if size is None:
            raise BrokenSog(f"{name} is {width} pixels wide; 192, 512 or 960 are right for 1, 2 or 3 bands.")
        if height * CENTROIDS_PER_ROW < (count or 1) or height * CENTROIDS_PER_ROW > 2 * LARGEST_PALETTE:
            raise BrokenSog(f"{name} is {height} pixels high, which does not fit its number of entries.")
        return images.decode(data, name, 3).reshape(-1, size, 3)[:count]


@dataclass(frozen=True)
class PackedGaussians:
    """A model of version 2 as bytes, a fifth of the memory of one that is unpacked."""

    meta: MetaV2
    positions: tuple[Bytes, Bytes]
    """Low and high bytes [N,3]."""
    scales: Bytes
    """[N,3]"""
    quats: Bytes
    """[N,4]"""
    colour: Bytes
    """[N,4] with the opacity."""
    centroids: Floats
    """[K,C*3], C = 0 without higher SH."""
    labels: NDArray[np.int32] | None
    """[N]"""

    def __len__(self) -> int:
        return self.meta.count

    @property
    def antialiased(self) -> bool:
        return self.meta.antialias

    @property
    def frame(self) -> Frame:
        return frame_of(self.meta.extras)

    @property
    def sh_degree(self) -> int:
        return 0 if self.meta.shN is None else self.meta.shN.bands

    def subset(self, rows: Index, scratch: Path | None = None) -> Gaussians:
        """Unpack some rows. The higher SH of many lie in a file of the folder `scratch`, if there is one."""
        meta, colour = self.meta, self.colour[rows]
        low, high = self.positions
        means = positions.decode(
            positions.join(low[rows], high[rows]), np.array(meta.means.mins), np.array(meta.means.maxs)
        )
        shn = np.zeros((len(means), 0, 3), np.float32)
        if self.labels is not None:
            shn = expand_palette(self.centroids, self.labels[rows], scratch)
        return Gaussians(
            means=means,
            quats=rotations.decode(self.quats[rows]),
            scales=codebook.decode(np.array(meta.scales.codebook), self.scales[rows]),
            opacities=opacity.decode(colour[:, 3]),
            sh0=codebook.decode(np.array(meta.sh0.codebook), colour[:, :3])[:, None],
            shN=shn,
            antialiased=self.antialiased,
            frame=self.frame,
        )


def expand_palette(centroids: Floats, labels: NDArray[np.integer], scratch: Path | None) -> Floats:
    """SH [N,C,3] of Gaussians whose labels [N] name centroids [K,C*3]; many lie in a file of the folder `scratch`."""
    sh = allocate((len(labels), centroids.shape[1] // 3, 3), scratch)
    palette = centroids.reshape(len(centroids), -1, 3)
    for rows in row_blocks(sh):
        np.take(palette, labels[rows], axis=0, out=sh[rows], mode="clip")
    return sh


def decode_v2(meta: MetaV2, fetch: Fetch, budget: int) -> PackedGaussians:
    """Decode the images of version 2. Raises BrokenSog."""
    reader = _ImageReader(fetch, meta.count, budget)
    low, high = (reader.rows(name, 3) for name in meta.means.files)
    scales, quats = reader.rows(meta.scales.files[0], 3), reader.rows(meta.quats.files[0], 4)
    if int(quats[:, 3].min()) < rotations.MODE_BASE:
        raise BrokenSog(f"{meta.quats.files[0]}: {rotations.NO_MODE}.")
    colour = reader.rows(meta.sh0.files[0], 4)
    centroids, labels = np.empty((0, 0), np.float32), None
    if meta.shN is not None:
        codes = reader.centroids(meta.shN.files[0], meta.shN.count)
        if codes.shape[1] != SHN_SIZES[meta.shN.bands]:
            raise BrokenSog(f"{meta.shN.files[0]} does not have the width of {meta.shN.bands} bands.")
        labels = _labels(reader, meta.shN.files[1], len(codes))
        centroids = codebook.decode(np.array(meta.shN.codebook), codes).reshape(len(codes), -1)
    return PackedGaussians(meta, (low, high), scales, quats, colour, centroids, labels)


def decode_v1(meta: MetaV1, fetch: Fetch, budget: int) -> Gaussians:
    """Decode version 1. Raises BrokenSog."""
    reader = _ImageReader(fetch, meta.count, budget)
    means = _means(reader, meta.means.files, meta.means.mins, meta.means.maxs)
    scales = _dequantise(reader.rows(meta.scales.files[0], 3), meta.scales.mins, meta.scales.maxs)
    quats = _quats(reader, meta.quats.files[0])
    colour = _dequantise(reader.rows(meta.sh0.files[0], 4), meta.sh0.mins, meta.sh0.maxs)
    shn = np.zeros((meta.count, 0, 3), np.float32)
    if meta.shN is not None:
        centroids = reader.centroids(meta.shN.files[0], None)
        labels = _labels(reader, meta.shN.files[1], len(centroids))
        shn = _dequantise(centroids, meta.shN.mins, meta.shN.maxs)[labels]
    return Gaussians(means, quats, scales, colour[:, 3], colour[:, None, :3], shn)


def decode_sogs(meta: MetaSogs, fetch: Fetch, budget: int) -> Gaussians:
    """Decode what `sogs` 1.0.0 writes. Raises BrokenSog."""
    reader = _ImageReader(fetch, meta.count, budget)
    means = _means(reader, meta.means.files, meta.means.mins, meta.means.maxs)
    opacities = _dequantise(reader.rows(meta.opacities.files[0], 3)[:, :1], meta.opacities.mins, meta.opacities.maxs)
    scales, wxy, sh0 = (
        _dequantise(reader.rows(part.files[0], 3), part.mins, part.maxs) for part in (meta.scales, meta.quats, meta.sh0)
    )
    z = np.sqrt(np.maximum(0, 1 - np.square(wxy).sum(axis=1)))
    shn = np.zeros((meta.count, 0, 3), np.float32)
    if meta.shN is not None:
        name, *halves = meta.shN.files
        centroids = reader.centroids(name, None)
        low, high = (reader.rows(half, 3)[:, 0].astype(np.int32) for half in halves)
        labels = low | high << 8
        if int(labels.max()) >= len(centroids):
            raise BrokenSog(f"{name} has {len(centroids)} entries; entry {int(labels.max())} is named.")
        shn = _dequantise(centroids, meta.shN.mins, meta.shN.maxs)[labels]
    return Gaussians(means, np.column_stack([wxy, z]), scales, opacities[:, 0], sh0[:, None], shn)


def _means(reader: _ImageReader, files: list[str], mins: list[float], maxs: list[float]) -> Floats:
    low, high = (reader.rows(name, 3) for name in files)
    return positions.decode(positions.join(low, high), np.array(mins), np.array(maxs))


def _quats(reader: _ImageReader, name: str) -> Floats:
    try:
        return rotations.decode(reader.rows(name, 4))
    except BrokenSog:
        raise
    except ValueError as error:
        raise BrokenSog(f"{name}: {error}.") from None


def _labels(reader: _ImageReader, name: str, centroids: int) -> NDArray[np.int32]:
    pixels = reader.rows(name, 3)
    labels = pixels[:, 0].astype(np.int32) | pixels[:, 1].astype(np.int32) << 8
    if int(labels.max()) >= centroids:
        raise BrokenSog(f"{name} names palette entry {int(labels.max())}, but there are only {centroids}.")
    return labels


def _dequantise(code: Bytes, mins: float | list[float], maxs: float | list[float]) -> Floats:
    low, high = np.array(mins), np.array(maxs)
    return np.asarray(low + (high - low) * (code / 255.0), np.float32)

"""The model: a set of 3D Gaussians as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from spaceport.splats.frame import UNKNOWN, Frame
from spaceport.splats.scratch import Index, take
from spaceport.splats.sh import SHN_SIZES, degree_of_size

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Gaussians:
    """N Gaussians as 3DGS stores them (Kerbl et al. 2023), all contiguous float32.

    Raises:
        ValueError: when a shape does not fit the others.
    """

    means: Floats
    """[N, 3] centres, world units."""
    quats: Floats
    """[N, 4] rotations w, x, y, z; any length but zero."""
    scales: Floats
    """[N, 3] natural logarithms of the standard deviations, world units."""
    opacities: Floats
    """[N] logits of the opacities."""
    sh0: Floats
    """[N, 1, 3] constant SH coefficients; colour is 0.5 + 0.2821 sh0 before clamping at 0."""
    shN: Floats
    """[N, K, 3] further SH coefficients, K = 0, 3, 8 or 15; of a large model they may lie on disk, see scratch.py."""
    antialiased: bool = False
    """Whether it was trained, and must be rendered, with opacities that compensate the blur of the projection
    (Mip-Splatting, Yu et al. 2023)."""
    frame: Frame = UNKNOWN
    """What the coordinates of `means` mean."""
    notes: tuple[str, ...] = ()
    """What the reader of its file left out or made up: a sentence each."""

    def __post_init__(self) -> None:
        n = len(self.means)
        if self.shN.ndim != 3 or self.shN.shape[1] not in SHN_SIZES:
            raise ValueError(f"shN must be [N, 0 | 3 | 8 | 15, 3], not {list(self.shN.shape)}")
        shapes = {"means": (n, 3), "quats": (n, 4), "scales": (n, 3), "opacities": (n,), "sh0": (n, 1, 3)}
        shapes["shN"] = (n, self.shN.shape[1], 3)
        for name, shape in shapes.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float32)
            if array.shape != shape:
                raise ValueError(f"{name} must be {list(shape)}, not {list(array.shape)}")
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        """0 to 3."""
        return degree_of_size(self.shN.shape[1])

    def subset(self, index: Index) -> Gaussians:
        """Those that a mask [N], an index array or a slice selects, in its order."""
        chosen: dict[str, Any] = {name: array[index] for name, array in self.arrays().items() if name != "shN"}
        return replace(self, **chosen, shN=take(self.shN, index))

    def without_sh(self) -> Gaussians:
        """The same without higher SH, which is most of a model's memory; the other arrays are shared."""
        return replace(self, shN=np.empty((len(self), 0, 3), np.float32))

    def arrays(self) -> dict[str, Floats]:
        """The arrays by name, not copied: what a rasteriser takes as `params`."""
        return {
            "means": self.means,
            "quats": self.quats,
            "scales": self.scales,
            "opacities": self.opacities,
            "sh0": self.sh0,
            "shN": self.shN,
        }

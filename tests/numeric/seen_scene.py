"""What the tests of both rasterisers draw: a cloud in front of a camera, and a photo to compare it with."""

from __future__ import annotations

import numpy as np
import torch

from services.train.rasterisers.protocol import Tensors, TrainingView
from spaceport.splats.cameras import Camera

EXPOSURE = torch.tensor([[1.1, 0.9, 1.0], [0.02, 0.0, -0.03]])


def scene(count: int, size: float, opacity: float = 0.0) -> Tensors:
    """`size` and `opacity` are the means of the log-scales and of the opacities' logits."""
    random = torch.Generator().manual_seed(3)
    shapes = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh0": (1, 3), "shN": (15, 3)}
    parameters = {name: torch.randn((count, *shape), generator=random) for name, shape in shapes.items()}
    parameters["scales"] = parameters["scales"] * 0.3 + size
    parameters["means"] = parameters["means"] * 0.5
    parameters["opacities"] = parameters["opacities"] + opacity
    parameters["shN"] = parameters["shN"] * 0.1
    return parameters


def view(width: int, height: int) -> TrainingView:
    pose = np.eye(4)
    pose[2, 3] = 3.0
    lens = (0.94 * width, 0.97 * width, 0.49 * width, 0.51 * height)
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return TrainingView(Camera("a", width, height, *lens, pose), lambda: photo, EXPOSURE)

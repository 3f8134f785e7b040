"""A gain and a shift of each photo's colours, learned with the model and neutral in the mean over all photos.

Cameras with automatic exposure record the same ground in different brightness; without this the model learns fog that
explains it. The mean is held at no change, so that the model keeps the photos' common colours.
"""

from __future__ import annotations

from typing import Any, Final

import torch

EXPOSURE_LR: Final = 5e-3
FINAL_LR_FACTOR: Final = 0.1
BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-15
GAIN_LIMITS: Final = (0.25, 4.0)
BIAS_LIMIT: Final = 0.5


class Exposures:
    """Gain and bias per photo and channel, `values` [P,2,3] float32, with Adam's moments per photo.

    All of it stays on the device: a step waits for nothing.

    Args:
        photos: how many are trained on.
        learning_rate: of Adam at the beginning.
        device: of the tensors.
    """

    def __init__(self, photos: int, learning_rate: float = EXPOSURE_LR, device: torch.device | None = None) -> None:
        self._learning_rate = learning_rate
        self.values = torch.zeros((photos, 2, 3), device=device)
        self.values[:, 0] = 1
        self._exp_avg = torch.zeros_like(self.values)
        self._exp_avg_sq = torch.zeros_like(self.values)
        self._steps = [0] * photos

    def of(self, photo: int) -> torch.Tensor:
        """[2,3] gain and bias of one photo: a view, which the next step changes."""
        return self.values[photo]

    def step(self, photo: int, grad: torch.Tensor, fraction: float) -> None:
        """One Adam update of one photo; `fraction` of the run is done, and the learning rate falls with it."""
        self._steps[photo] += 1
        exp_avg, exp_avg_sq = self._exp_avg[photo], self._exp_avg_sq[photo]
        exp_avg += (1 - BETAS[0]) * (grad - exp_avg)
        exp_avg_sq += (1 - BETAS[1]) * (grad * grad - exp_avg_sq)
        steps = self._steps[photo]
        mean, square = exp_avg / (1 - BETAS[0] ** steps), exp_avg_sq / (1 - BETAS[1] ** steps)
        self.values[photo] -= self._learning_rate * FINAL_LR_FACTOR**fraction * mean / (square.sqrt() + EPSILON)
        self._centre()

    def _centre(self) -> None:
        """Make the mean over all photos neutral again."""
        self.values[:, 0] /= self.values[:, 0].mean(0)
        self.values[:, 1] -= self.values[:, 1].mean(0)
        self.values[:, 0].clamp_(*GAIN_LIMITS)
        self.values[:, 1].clamp_(-BIAS_LIMIT, BIAS_LIMIT)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: plain lists."""
        return {
            "values": self.values.tolist(),
            "first": self._exp_avg.tolist(),
            "second": self._exp_avg_sq.tolist(),
            "steps": list(self._steps),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        device = self.values.device
        self.values, self._exp_avg, self._exp_avg_sq = (
            torch.tensor(state[name], dtype=torch.float32, device=device).reshape(-1, 2, 3)
            for name in ("values", "first", "second")
        )
        self._steps = [int(steps) for steps in state["steps"]]

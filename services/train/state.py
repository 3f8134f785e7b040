"""All that changes while a training runs: a checkpoint holds it, and a resumed run continues from it bit for bit."""

from __future__ import annotations

from typing import Any

import torch

from services.train.exposure import Exposures
from services.train.optimiser import Optimiser
from services.train.rasterisers.protocol import Tensors
from services.train.stopping import EarlyStopping


class TrainingState:
    """Parameters, moments, exposures, scores so far, the order of the photos, and both random generators.

    Args:
        optimiser: of the Gaussians.
        exposures: one for each photo that is trained on.
        stopping: the scores so far.
        device: of the Gaussians.
        seed: of all randomness.
    """

    def __init__(
        self, optimiser: Optimiser, exposures: Exposures, stopping: EarlyStopping, device: torch.device, seed: int
    ) -> None:
        self.optimiser = optimiser
        self.exposures = exposures
        self.stopping = stopping
        self.iteration = 0
        self.best: Tensors | None = None
        """The parameters with the best score so far, on the CPU."""
        self.radii = torch.zeros(len(optimiser), device=device)
        """[N] largest radius on full-size photos since the last refinement, pixels."""
        self.mcmc_generator = torch.Generator(device=device).manual_seed(seed + 1)
        self._device = device
        self._photos = len(exposures.values)
        self._queue: list[int] = []
        self._shuffle = torch.Generator().manual_seed(seed)

    def next_photo(self) -> int:
        """Each photo once per round, in a new order each round."""
        if not self._queue:
            self._queue = torch.randperm(self._photos, generator=self._shuffle).tolist()
        return self._queue.pop()

    def reset_radii(self) -> None:
        """After a refinement: Gaussians and sizes are new."""
        self.radii = torch.zeros(len(self.optimiser), device=self._device)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint; tensors are not copied."""
        return {
            "iteration": self.iteration,
            "optimiser": self.optimiser.state_dict(),
            "exposures": self.exposures.state_dict(),
            "stopping": self.stopping.state_dict(),
            "order": self._queue,
            "radii": self.radii,
            "random": [self._shuffle.get_state(), self.mcmc_generator.get_state()],
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: it holds another number of photos or Gaussians. Damaged values raise whatever they raise; then
                this state is of no use any more.
        """
        self.iteration = state["iteration"]
        self._queue = list(state["order"])
        if not set(self._queue) <= set(range(self._photos)):
            raise ValueError("photos that the survey does not have")
        self.optimiser.load_state_dict(state["optimiser"], self._device)
        if state["radii"].shape != (len(self.optimiser),):
            raise ValueError("radii of another number of Gaussians")
        self.exposures.load_state_dict(state["exposures"])
        if len(self.exposures.values) != self._photos:
            raise ValueError("exposures of another number of photos")
        self.stopping.load_state_dict(state["stopping"])
        self.radii = state["radii"].to(self._device)
        self._shuffle.set_state(state["random"][0])
        self.mcmc_generator.set_state(state["random"][1])
        self.best = state["best"]
        if self.best is not None and self.best.keys() != self.optimiser.parameters.keys():
            raise ValueError("a best model with other parameters")

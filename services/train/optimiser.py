"""Adam over the Gaussians' parameters, whose rows move, vanish and grow while it runs."""

from __future__ import annotations

from typing import Any

import torch

from services.train.rasterisers.protocol import NAMES, Tensors, Update

BETAS = (0.9, 0.999)
EPSILON = 1e-15


class Optimiser:
    """Owns the parameters and Adam's moments of them.

    Args:
        parameters: by name, all with the same first dimension; taken over, not copied.
        update: does a step; without it torch's fused Adam does.
    """

    def __init__(self, parameters: Tensors, update: Update | None = None) -> None:
        self._update = update
        self.parameters = {name: parameters[name].contiguous() for name in NAMES}
        self._first = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self._second = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self._build(steps=0)

    def __len__(self) -> int:
        return len(self.parameters["means"])

    def _build(self, steps: int) -> None:
        """Hand the present tensors to torch's fused Adam, which updates them in place."""
        self._steps = {name: torch.tensor(float(steps), device=value.device) for name, value in self.parameters.items()}
        groups = [{"params": [self.parameters[name]], "lr": 0.0} for name in NAMES if self.parameters[name].numel()]
        self._adam = torch.optim.Adam(groups, betas=BETAS, eps=EPSILON, fused=True)
        for name, value in self.parameters.items():
            self._adam.state[value] = {
                "step": self._steps[name],
                "exp_avg": self._first[name],
                "exp_avg_sq": self._second[name],
            }

    def step(self, grads: Tensors, rates: dict[str, float]) -> None:
        """One update with gradients and learning rates by name."""
        if self._update is not None:
            for taken in self._steps.values():
                taken.add_(1)
            self._update(self.parameters, (self._first, self._second), grads, rates, self.steps)
            return
        names = [name for name in NAMES if self.parameters[name].numel()]
        for name, group in zip(names, self._adam.param_groups, strict=True):
            group["lr"] = rates[name]
            self.parameters[name].grad = grads[name]
        self._adam.step()

    def forget(self, rows: torch.Tensor) -> None:
        """Set the moments of these rows to zero: what they remember belongs to another place."""
        for moments in (self._first, self._second):
            for value in moments.values():
                value[rows] = 0

    def append(self, more: Tensors) -> None:
        """Add rows at the end, with moments of zero."""
        steps = self.steps
        for name in NAMES:
            zeros = torch.zeros_like(more[name])
            self.parameters[name] = torch.cat([self.parameters[name].detach(), more[name]])
            self._first[name] = torch.cat([self._first[name], zeros])
            self._second[name] = torch.cat([self._second[name], zeros])
        self._build(steps)

    @property
    def steps(self) -> int:
        """Updates so far."""
        return int(self._steps["means"])

    def state(self) -> dict[str, Any]:
        """For a checkpoint: parameters and moments (not copied) and the number of updates."""
        parameters = {name: value.detach() for name, value in self.parameters.items()}
        return {"parameters": parameters, "first": self._first, "second": self._second, "steps": self.steps}

    def load(self, state: dict[str, Any], device: torch.device) -> None:
        """Continue from a checkpoint. Raises `ValueError` when its tensors are not those of one such model."""
        rows = len(state["parameters"]["means"])
        for part in ("parameters", "first", "second"):
            for name, mine in self.parameters.items():
                value = state[part][name]
                if value.shape != (rows, *mine.shape[1:]) or value.dtype != mine.dtype:
                    raise ValueError(f"{part} {name} is {value.dtype} {tuple(value.shape)}")
        self.parameters = {name: state["parameters"][name].to(device) for name in NAMES}
        self._first = {name: state["first"][name].to(device) for name in NAMES}
        self._second = {name: state["second"][name].to(device) for name in NAMES}
        self._build(int(state["steps"]))

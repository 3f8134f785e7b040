"""Adam over the Gaussians' parameters, whose rows are reset and appended while it runs."""

from __future__ import annotations

from typing import Any

import torch

from services.train.rasterisers.protocol import NAMES, Tensors, Update

BETAS = (0.9, 0.999)
EPSILON = 1e-15


class Optimiser:
    """Owns the parameters and Adam's moments of them.

    Args:
        parameters: by name, all with the same first dimension; not copied.
        update: does one step; None for torch's fused Adam.
    """

    def __init__(self, parameters: Tensors, update: Update | None = None) -> None:
        self._update = update
        self.parameters = {name: parameters[name].contiguous() for name in NAMES}
        self._exp_avg = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self._exp_avg_sq = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self._build(steps=0)

    def __len__(self) -> int:
        return len(self.parameters["means"])

    def _build(self, steps: int) -> None:
        """Hand the present tensors to torch's fused Adam, which updates them in place, unless `update` does the steps.

        It is made only where it is needed: the first one of a process imports torch's compiler, for two seconds.
        """
        self._steps = {name: torch.tensor(float(steps), device=value.device) for name, value in self.parameters.items()}
        if self._update is not None:
            return
        groups = [{"params": [self.parameters[name]], "lr": 0.0} for name in NAMES if self.parameters[name].numel()]
        self._adam = torch.optim.Adam(groups, betas=BETAS, eps=EPSILON, fused=True)
        for name, value in self.parameters.items():
            self._adam.state[value] = {
                "step": self._steps[name],
                "exp_avg": self._exp_avg[name],
                "exp_avg_sq": self._exp_avg_sq[name],
            }

    def step(self, grads: Tensors, learning_rates: dict[str, float]) -> None:
        """One update with gradients and learning rates by name."""
        if self._update is not None:
            for count in self._steps.values():
                count.add_(1)
            self._update(self.parameters, (self._exp_avg, self._exp_avg_sq), grads, learning_rates, self.steps)
            return
        names = [name for name in NAMES if self.parameters[name].numel()]
        for name, group in zip(names, self._adam.param_groups, strict=True):
            group["lr"] = learning_rates[name]
            self.parameters[name].grad = grads[name]
        self._adam.step()

    def reset_moments(self, rows: torch.Tensor) -> None:
        """Set the moments of these rows to zero: they are of another place."""
        for moments in (self._exp_avg, self._exp_avg_sq):
            for value in moments.values():
                value[rows] = 0

    def append(self, rows: Tensors) -> None:
        """Add rows at the end, with moments of zero."""
        steps = self.steps
        for name in NAMES:
            zeros = torch.zeros_like(rows[name])
            self.parameters[name] = torch.cat([self.parameters[name].detach(), rows[name]])
            self._exp_avg[name] = torch.cat([self._exp_avg[name], zeros])
            self._exp_avg_sq[name] = torch.cat([self._exp_avg_sq[name], zeros])
        self._build(steps)

    @property
    def steps(self) -> int:
        """Updates so far."""
        return int(self._steps["means"])

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: parameters and moments (not copied) and the number of updates."""
        parameters = {name: value.detach() for name, value in self.parameters.items()}
        return {"parameters": parameters, "first": self._exp_avg, "second": self._exp_avg_sq, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Continue from a checkpoint. Raises `ValueError` when its tensors are not those of one such model."""
        count = len(state["parameters"]["means"])
        for part in ("parameters", "first", "second"):
            for name, present in self.parameters.items():
                value = state[part][name]
                if value.shape != (count, *present.shape[1:]) or value.dtype != present.dtype:
                    raise ValueError(f"{part} {name} is {value.dtype} {tuple(value.shape)}")
        self.parameters = {name: state["parameters"][name].to(device) for name in NAMES}
        self._exp_avg = {name: state["first"][name].to(device) for name in NAMES}
        self._exp_avg_sq = {name: state["second"][name].to(device) for name in NAMES}
        self._build(int(state["steps"]))

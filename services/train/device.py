"""Which device trains, and why."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from services.train.rasterisers.protocol import Rasteriser
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import TrainOptions
from spaceport.simd.cores import usable_cores

CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Device:
    """Where training runs.

    Args:
        kind: `cpu` or `cuda`.
        name: for the report.
        why: the reason for the choice, as a phrase for people.
        threads: of the CPU.
        cuda_bytes: memory of the GPU, None on a CPU.
    """

    kind: str
    name: str
    why: str
    threads: int
    cuda_bytes: int | None = None

    @property
    def cpu_threads(self) -> int | None:
        """That train; None where a GPU does."""
        return self.threads if self.kind == "cpu" else None


def choose_device(options: TrainOptions) -> Device:
    """The GPU when there is one that gsplat can use, else the CPU.

    Raises:
        Refused: `bad_options` when a GPU is required and none can be used.
    """
    threads = options.threads or usable_cores()
    missing = _missing_for_cuda()
    if options.device == "cpu" or (missing and options.device == "auto"):
        why = "requested" if options.device == "cpu" else str(missing)
        return Device("cpu", f"CPU, {threads} threads", why, threads)
    if missing:
        raise Refused(Slug.BAD_OPTIONS, detail=f"device `cuda` was requested, but {missing}")
    card = torch.cuda.get_device_properties(0)
    why = "requested" if options.device == "cuda" else "a GPU is available"
    return Device("cuda", str(card.name), why, threads, int(card.total_memory))


def memory_bytes(device: Device, container_limit: Path = CONTAINER_LIMIT) -> int:
    """Of the GPU, or of this machine or the container that it trains in: all of it, free or not."""
    if device.cuda_bytes is not None:
        return device.cuda_bytes
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(container_limit.read_text()))
    except (OSError, ValueError):  # there is no container, or it has no limit: "max"
        return machine


def _missing_for_cuda() -> str | None:
    """What training on CUDA lacks here; None when it can be used."""
    if not torch.cuda.is_available():
        return "no CUDA GPU is available"
    if importlib.util.find_spec("gsplat") is None:
        return "gsplat is not installed"
    return None


def make_rasteriser(device: Device, *, antialiased: bool = False) -> Rasteriser:
    """The rasteriser of the device; each is imported only where it is used."""
    if device.kind == "cuda":
        from services.train.rasterisers.gsplat_cuda import GsplatRasteriser  # noqa: PLC0415 - needs CUDA

        cuda: Rasteriser = GsplatRasteriser(antialiased=antialiased)
        return cuda
    from services.train.rasterisers.cpu import CpuRasteriser  # noqa: PLC0415 - compiles at import

    torch.set_num_threads(1)  # torch does little here, and its spinning barriers cost 80 ms a step on a busy machine
    return CpuRasteriser(device.threads, antialiased=antialiased)

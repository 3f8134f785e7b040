"""What machine time costs.

List prices of us-east-1, Linux, US dollars per hour, read from AWS's public price pages in 2026-11. Spot prices
vary; the figure here is a rounded recent average, used where the queue buys Spot. A workstation costs nothing. What
comes with the machines is in `costs.py`.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from spaceport.pipeline.contract import StageName
from spaceport.pipeline.effort import CUDA_SECONDS_PER_ITERATION

LOCAL = "local"
UNKNOWN = "unknown"

SPOT = ":spot"
"""Ends the name of a machine that was bought as Spot."""

USD_PER_HOUR: dict[str, float] = {
    LOCAL: 0.0,
    "c5.2xlarge": 0.34,
    "c6a.2xlarge": 0.306,
    "c6i.2xlarge": 0.34,
    "c7i.2xlarge": 0.357,
    "m5.2xlarge": 0.384,
    "m6i.2xlarge": 0.384,
    "g4dn.xlarge": 0.526,
    "g4dn.2xlarge": 0.752,
    "g5.xlarge": 1.006,
    "g6.xlarge": 0.8048,
    "g4dn.xlarge:spot": 0.21,
    "g4dn.2xlarge:spot": 0.30,
}

# For the estimate before any work is done. CPU seconds per photo come from brighton_beach on 2 cores, spread over the
# 8 vCPUs of a c6i.2xlarge; seconds per iteration from gsplat's table (see `effort.py`). Start-up is what Batch needs to
# get a machine and pull an image.
MACHINES: dict[StageName, str] = {
    StageName.SFM: "c6i.2xlarge",
    StageName.TRAIN: "g4dn.xlarge:spot",
    StageName.COMPRESS: "c6i.2xlarge",
}
STARTUP_SECONDS = 120.0
SFM_SECONDS_PER_PHOTO = 1.5
COMPRESS_SECONDS = 60.0


def instance_type() -> str:
    """The machine that this process runs on: "g4dn.xlarge:spot" where it was bought as Spot, "local" outside AWS.

    A machine of the cloud writes its type to a file when it starts, since containers cannot ask for it themselves.
    """
    file = os.environ.get("SPACEPORT_MACHINE_FILE")
    if "SPACEPORT_INSTANCE_TYPE" in os.environ or not file:
        return os.environ.get("SPACEPORT_INSTANCE_TYPE", LOCAL)
    try:
        return Path(file).read_text()[:64].strip() or UNKNOWN
    except OSError:
        return UNKNOWN


def usd_per_hour(instance_type: str) -> float:
    """The list price, also of Spot whose own is not known; of an unknown machine the dearest: never too low."""
    for name in (instance_type, instance_type.removesuffix(SPOT)):
        if name in USD_PER_HOUR:
            return USD_PER_HOUR[name]
    return max(USD_PER_HOUR.values())


def cost_usd(instance_type: str, seconds: float) -> float:
    """Dollars for this many seconds of a machine."""
    per_hour = usd_per_hour(instance_type)
    return round(per_hour * max(seconds, 0.0) / 3600, 6)


def seconds_for(instance_type: str, usd: float) -> float:
    """How many seconds of a machine these dollars buy; infinitely many on one that costs nothing."""
    per_second = cost_usd(instance_type, 3600) / 3600
    return usd / per_second if per_second > 0 else math.inf


def stage_seconds(photos: int, iterations: int) -> dict[StageName, float]:
    """How long each stage is likely to have its machine."""
    return {
        StageName.SFM: STARTUP_SECONDS + SFM_SECONDS_PER_PHOTO * photos,
        StageName.TRAIN: STARTUP_SECONDS + CUDA_SECONDS_PER_ITERATION * iterations,
        StageName.COMPRESS: STARTUP_SECONDS + COMPRESS_SECONDS,
    }

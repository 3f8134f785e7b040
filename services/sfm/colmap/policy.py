"""How a set of photos is matched and mapped, and what is tried besides where little comes of it. Pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Method = Literal["spatial", "exhaustive", "sequential", "retrieval"]

LOCATED_SHARE: Final = 0.9  # of the photos must have a position before positions decide
MIN_SPREAD_M: Final = 1.0  # closer together than this, all positions are one and say nothing
EXHAUSTIVE_UP_TO: Final = 60  # 1,770 pairs: two minutes on two cores
DOUBTFUL_SHARE: Final = 0.3  # of pairs verified; of a good survey's neighbours 90 % are
ENOUGH: Final = 0.9  # of the photos placed; with fewer, more is tried, and people are told what to do
FEW: Final = 0.25  # of the photos; where more are missing, they show something else, and looking closer is of no use
SMALL: Final = 60  # photos, up to which the other mapper costs seconds and is worth them for one photo more


@dataclass(frozen=True)
class Known:
    """What decides on the method."""

    total: int
    located: int
    """Photos with a position."""
    spread_m: float
    """Diagonal of the ground that the positions cover."""
    ordered: bool
    """Whether the photos come in the order in which they were taken."""

    @property
    def has_gps(self) -> bool:
        return self.located >= max(2, LOCATED_SHARE * self.total) and self.spread_m >= MIN_SPREAD_M


def choose(wanted: str, known: Known) -> Method:
    """The method. `wanted` is the option: what it names is taken, except spatial without positions."""
    if known.has_gps and wanted in ("auto", "spatial"):
        return "spatial"
    if wanted == "sequential":
        return "sequential"
    if wanted == "retrieval":
        return "retrieval"
    if wanted == "exhaustive" or known.total <= EXHAUSTIVE_UP_TO:
        return "exhaustive"
    return "sequential" if known.ordered else "retrieval"


def alternative(method: Method, total: int) -> Method | None:
    """What to try besides, where too few pairs or photos came of `method`; None when nothing else can help."""
    if method == "exhaustive":
        return None
    if total <= EXHAUSTIVE_UP_TO:
        return "exhaustive"
    return None if method == "retrieval" else "retrieval"


def doubtful(method: Method, pairs: int, verified: int) -> bool:
    """Whether so few neighbours match that the positions may be wrong."""
    return method == "spatial" and verified < DOUBTFUL_SHARE * pairs


def needs_other_mapper(wanted: str, total: int, placed: int) -> bool:
    """Whether the global mapper is run after the incremental one, which placed `placed` of `total` photos."""
    if wanted != "auto":
        return wanted == "global"
    return placed < total if total <= SMALL else placed < ENOUGH * total


def look_closer(total: int, placed: int) -> bool:
    """Whether the photos that are missing in a finished model are matched again, less strictly."""
    return 0 < total - placed <= FEW * total

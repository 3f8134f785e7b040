"""Decides how a set of photos is matched and mapped, and what else is tried where that registers few. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

MatchingMethod = Literal["spatial", "exhaustive", "sequential", "retrieval"]

MIN_LOCATED_SHARE: Final = 0.9  # of the photos must have a position before positions decide
MIN_SPREAD_M: Final = 1.0  # closer together than this, all positions are one and say nothing
MAX_EXHAUSTIVE_PHOTOS: Final = 60  # 1,770 pairs: two minutes on two cores
MIN_VERIFIED_SHARE: Final = 0.3  # of the pairs of neighbours; of a good survey's 90 % are verified
ENOUGH_REGISTERED: Final = 0.9  # of the photos; with fewer, more is tried, and the report says what to do
MAX_RETRIED_SHARE: Final = 0.25  # of the photos; where more are missing, they show something else, and no retry helps
SMALL_SET: Final = 60  # photos, up to which the other mapper costs seconds and is worth them for one photo more


@dataclass(frozen=True)
class PhotoSet:
    """What the matching method depends on."""

    total: int
    located: int
    """Photos with a position."""
    spread_m: float
    """Diagonal of the ground that the positions cover."""
    ordered: bool
    """Whether the photos come in the order in which they were taken."""

    @property
    def has_gps(self) -> bool:
        return self.located >= max(2, MIN_LOCATED_SHARE * self.total) and self.spread_m >= MIN_SPREAD_M


def choose_matching(option: str, photos: PhotoSet) -> MatchingMethod:
    """The method for the option `matching`: what it names, except spatial without positions."""
    if photos.has_gps and option in ("auto", "spatial"):
        return "spatial"
    if option == "sequential":
        return "sequential"
    if option == "retrieval":
        return "retrieval"
    if option == "exhaustive" or photos.total <= MAX_EXHAUSTIVE_PHOTOS:
        return "exhaustive"
    return "sequential" if photos.ordered else "retrieval"


def fallback_matching(method: MatchingMethod, total: int) -> MatchingMethod | None:
    """What to add where `method` verified or registered too little; None when nothing else can help."""
    if method == "exhaustive":
        return None
    if total <= MAX_EXHAUSTIVE_PHOTOS:
        return "exhaustive"
    return None if method == "retrieval" else "retrieval"


def are_positions_doubtful(method: MatchingMethod, pairs: int, verified: int) -> bool:
    """Whether so few neighbours match that the positions may be wrong."""
    return method == "spatial" and verified < MIN_VERIFIED_SHARE * pairs


def needs_global_mapper(option: str, connected: int, registered: int) -> bool:
    """Whether the global mapper is tried too where the incremental one registered so many, for the option `mapper`.

    `connected`: photos of the largest part whose photos share verified matches, directly or by way of others. No mapper
    registers more of them in one model.
    """
    if option != "auto":
        return False
    return registered < connected if connected <= SMALL_SET else registered < ENOUGH_REGISTERED * connected


def should_retry_unregistered(total: int, registered: int) -> bool:
    """Whether the photos that a finished model lacks are matched again, less strictly."""
    return 0 < total - registered <= MAX_RETRIED_SHARE * total

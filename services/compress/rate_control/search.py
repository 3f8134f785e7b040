"""From a target to a file: measure, choose, draft, prove, and correct for what the measurements promised wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from services.compress.proving.proof import Proof, Prover, attribute_errors
from services.compress.rate_control.allocation import (
    TIE_DB,
    RateDistortion,
    Target,
    choose_levels,
    choose_result,
    decisive_psnr,
    mask_reaching,
    reaches_psnr,
    total_size,
)
from services.compress.rate_control.tables import ShOption, ShTable, attribute_tables
from services.compress.rate_control.windows import Windows
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Progress
from spaceport.splats.sog.attributes.quality import COARSENESS, FINEST, KNOBS, Quality, at_level
from spaceport.splats.sog.attributes.quantise import ATTRIBUTES, Prepared
from spaceport.splats.sog.codec.encode import (
    Draft,
    Encoded,
    EncodedAttribute,
    encode_images,
    make_draft,
    sh_features,
)
from spaceport.splats.sog.codec.errors import BrokenSog
from spaceport.splats.sog.codec.reader import read_packed_bundle
from spaceport.splats.sog.codec.writer import pack_bundle
from spaceport.splats.sog.palette.growth import Growth
from spaceport.splats.sog.palette.palette import Palette, quantise_palette

COMPARING = "Comparing the compressed model with the original"
OWN_BUDGET = 1 << 36  # what we wrote ourselves may need as much memory as the model did
META_BYTES = 6500  # of meta.json in the bundle, and the zip around the images
MAX_ATTEMPTS = 3
SPARE_DB = 0.3  # asked of the tables above the target, because a second attempt costs more than it saves
CLOSE_DB = 0.15  # so little over the target, a smaller file is not sought
OVERCORRECTION = 2  # times what an attempt fell short goes on top: a third attempt costs more than it saves
WORTHWHILE = 0.04  # nor is there another attempt when the tables foresee so small a share of the bytes to be saved
CLOSE_BYTES = 0.97  # so much of the limit used, a better file is not sought
PAST_BEST = 2  # palettes larger than the best so far that are tried before growth ends


@dataclass(frozen=True)
class SogFile:
    """A bundle that was read back, and holds just what was rendered."""

    encoded: Encoded
    bundle: bytes
    errors: dict[str, float]
    """Root mean square error of each attribute."""


@dataclass(frozen=True)
class Attempt:
    """One way to store the model, and how it looks. Its file is made when it is first needed: not all are."""

    quality: Quality
    draft: Draft
    proof: Proof

    @cached_property
    def file(self) -> SogFile:
        """Raises BrokenSog: what can be read back is not what was rendered."""
        encoded = encode_images(self.draft)
        bundle = pack_bundle(encoded.files)
        decoded = read_packed_bundle(bundle, OWN_BUDGET)
        if not self.draft.equals(decoded):
            raise BrokenSog("The file, read back, does not hold the model that was rendered.")
        return SogFile(encoded, bundle, attribute_errors(encoded.gaussians, decoded))

    @property
    def size(self) -> int:
        """Bytes of its bundle, which is made for it; raises as `file` does."""
        return len(self.file.bundle)


@dataclass(frozen=True)
class SearchResult:
    """What a search ended with."""

    best: Attempt
    """The attempt that meets the target best."""
    attempts: list[tuple[float, float]]
    """Of all attempts, the bytes that were foreseen and the mean PSNR that was reached, dB."""
    ceiling: Proof | None = None
    """How the model looks with all stored as finely as the format can; None where no target was hard to reach."""


class Search:
    """Everything about one model that several attempts share."""

    def __init__(self, prepared: Prepared, prover: Prover, options: CompressOptions, progress: Progress) -> None:
        self._prepared = prepared
        self._prover = prover
        self._options = options
        self._progress = progress
        self.windows = Windows(prepared, prover, progress)
        self._attributes = attribute_tables(prepared, self.windows)
        self._palettes: dict[int, Palette] = {}
        self._encoded: dict[str, EncodedAttribute] = {}

    def run(self, target: Target, progress: Progress, earlier: SearchResult | None = None) -> SearchResult:
        """Make attempts until one meets the target or no more can be gained; `earlier` is of a lower target.

        Nothing is given up while a PSNR is missed that no limit on bytes stands against: then the finest that the
        format can do is measured, and the search goes on with all that it offers.
        """
        if earlier and earlier.ceiling and earlier.best.proof.decisive >= earlier.ceiling.decisive - TIE_DB:
            return earlier
        self._progress = progress
        aim = target if target.psnr is None else replace(target, psnr=target.psnr + SPARE_DB)
        sh = self._grow_palette(aim)
        result = self._make_attempts(sh, aim, target, earlier)
        if target.psnr is None or target.max_bytes is not None or is_met(result.best, target):
            return result
        return self._go_on(sh, target, target.psnr, result)

    def _go_on(self, sh: ShTable, target: Target, psnr: float, result: SearchResult) -> SearchResult:
        """Measure the format's own ceiling, and look for the smallest file that reaches the target, or that ceiling."""
        sh.extend(self._options.palette_size)
        tables = [*self._attributes, sh.table]
        finest = tuple(len(table.sizes) - 1 for table in tables)
        attempt = self._attempt(finest, sh.options[-1])
        ceiling = attempt.proof
        goal = replace(target, psnr=min(psnr, ceiling.decisive - TIE_DB))
        attempts = [*result.attempts, (META_BYTES + total_size(tables, finest), ceiling.mean)]
        result = SearchResult(best_attempt([result.best, attempt], goal), attempts, ceiling)
        foreseen = float(decisive_psnr(sum(table.errors[-1] for table in tables)))
        aim = replace(goal, psnr=min(psnr, ceiling.decisive - TIE_DB) + foreseen - ceiling.decisive + SPARE_DB)
        return self._make_attempts(sh, aim, goal, result)

    def _make_attempts(self, sh: ShTable, aim: Target, target: Target, earlier: SearchResult | None) -> SearchResult:
        """Draft, prove, and correct the aim for what the tables foresaw wrongly."""
        tables = [*self._attributes, sh.table]
        kept, attempts = ([earlier.best], earlier.attempts) if earlier else ([], [])
        tried: set[tuple[int, ...]] = set()
        levels = choose_levels(tables, META_BYTES, aim)
        while len(tried) < MAX_ATTEMPTS and levels not in tried:
            self._progress.update(1 - 0.5 ** (1 + len(attempts)), COMPARING)
            tried.add(levels)
            attempt = self._attempt(levels, sh.options[levels[-1]])
            kept = [best_attempt([*kept, attempt], target)]  # the memory of the other one is freed
            size = META_BYTES + total_size(tables, levels)
            attempts = [*attempts, (size, attempt.proof.mean)]
            aim = correct_aim(aim, target, attempt)
            levels = next_levels(tables, levels, aim)
            gain = 1 - (META_BYTES + total_size(tables, levels)) / size
            if is_close(attempt, target) or (is_met(attempt, target) and gain < WORTHWHILE):
                break
        return SearchResult(kept[0], attempts, earlier.ceiling if earlier else None)

    def _grow_palette(self, target: Target) -> ShTable:
        sh = ShTable(self._prepared, self.windows, self._options.seed, self._progress)

        def is_enough() -> bool:
            tables = [*self._attributes, sh.table]
            levels = choose_levels(tables, META_BYTES, target)
            past = sh.full_bands * PAST_BEST
            if target.max_bytes is not None and sh.table.sizes[-1] > target.max_bytes:
                return True
            return reaches_psnr(tables, levels, target) and levels[-1] < len(sh.options) - past

        sh.grow(is_enough, self._options.palette_size)
        self._palettes.clear()
        return sh

    def _attempt(self, levels: tuple[int, ...], option: ShOption) -> Attempt:
        size = None if option.centroids is None else len(option.centroids)
        quality = replace(FINEST, sh_bands=option.bands, palette_size=size, sh_step=option.step)
        for name, level in zip(ATTRIBUTES, levels, strict=False):
            knob = KNOBS[name]
            quality = replace(quality, **{knob: getattr(at_level(name, COARSENESS[level]), knob)})
        self._progress.check()
        draft = make_draft(self._prepared, quality, self._palette(levels[-1], option), self._encoded)
        self._encoded = draft.attributes
        return Attempt(quality, draft, self._prover.compare(draft.gaussians()))

    def _palette(self, number: int, option: ShOption) -> Palette | None:
        """The option's palette after the last rounds of k-means, on all Gaussians; made once for each option."""
        if option.centroids is None:
            return None
        if number not in self._palettes and option.labels is not None:
            features, weights = sh_features(self._prepared, option.bands), self._prepared.importance
            self._palettes[number] = quantise_palette(option.centroids, option.labels, features, weights, option.step)
        if number not in self._palettes:
            features, weights = sh_features(self._prepared, option.bands), self._prepared.importance
            growth = Growth(features, weights, self._options.seed, self._progress, option.centroids)
            growth.refine(self._options.kmeans_rounds)
            self._palettes[number] = quantise_palette(
                growth.centroids, None, features, weights, option.step, growth.coarse
            )
        return self._palettes[number]


def is_close(attempt: Attempt, target: Target) -> bool:
    """Whether an attempt meets the target so closely that no other is needed."""
    if target.max_bytes is not None and attempt.size > target.max_bytes:
        return False
    if target.psnr is None:
        return target.max_bytes is None or attempt.size >= CLOSE_BYTES * target.max_bytes
    return 0 <= attempt.proof.decisive - target.psnr <= CLOSE_DB


def is_met(attempt: Attempt, target: Target) -> bool:
    """Whether an attempt reaches the target's PSNR within its limit, though maybe with more bytes than it needs."""
    fits = target.max_bytes is None or attempt.size <= target.max_bytes
    return fits and target.psnr is not None and attempt.proof.decisive >= target.psnr


def correct_aim(aim: Target, target: Target, attempt: Attempt) -> Target:
    """What to ask of the tables next, so that the result meets the target."""
    psnr, max_bytes = aim.psnr, aim.max_bytes
    if psnr is not None and target.psnr is not None:
        short = target.psnr - attempt.proof.decisive
        psnr += (OVERCORRECTION * short if short > 0 else short) + CLOSE_DB / 3
    if max_bytes is not None and target.max_bytes is not None:
        limits = target.psnr is None or attempt.size > target.max_bytes
        max_bytes += int(0.995 * target.max_bytes) - attempt.size if limits else 0
    return Target(psnr, max_bytes)


def next_levels(tables: Sequence[RateDistortion], previous: tuple[int, ...], aim: Target) -> tuple[int, ...]:
    """The levels of the next attempt.

    The palette stays where that promises as much and costs little: k-means for another one takes longer than all else.
    """
    free = choose_levels(tables, META_BYTES, aim)
    same = previous[-1]
    fixed_palette = RateDistortion(tables[-1].sizes[same : same + 1], tables[-1].errors[same : same + 1])
    kept = (*choose_levels([*tables[:-1], fixed_palette], META_BYTES, aim)[:-1], same)
    cheap = total_size(tables, kept) <= (1 + WORTHWHILE) * total_size(tables, free)
    return kept if cheap and reaches_psnr(tables, kept, aim) else free


def best_attempt(attempts: Sequence[Attempt], target: Target) -> Attempt:
    """The attempt that meets the target best. Files are made only where their bytes decide."""
    psnr = np.array([attempt.proof.decisive for attempt in attempts])
    if target.max_bytes is None:
        mask = mask_reaching(psnr, target)
        if np.count_nonzero(mask) == 1:
            return attempts[int(np.argmax(mask))]
    sizes = np.array([attempt.size for attempt in attempts], float)
    return attempts[choose_result(sizes, psnr, target)]

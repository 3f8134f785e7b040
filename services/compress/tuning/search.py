"""From a wish to a file: measure, decide, draft, prove, and correct what the measurements promised wrongly."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from services.compress.proving import proof
from services.compress.tuning.allocate import Table, Wish, choose, mean_psnr, pick, reached, reaches, total_size
from services.compress.tuning.tables import Colours, ColourTable, attribute_tables
from services.compress.tuning.windows import Windows
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Progress
from spaceport.splats.sog.attributes.quality import FINEST, KNOBS, LEVELS, Quality, at_level
from spaceport.splats.sog.attributes.quantise import ATTRIBUTES, Prepared
from spaceport.splats.sog.codec import writer
from spaceport.splats.sog.codec.encode import Draft, Encoded, Part, code, draft, features_of
from spaceport.splats.sog.codec.errors import BrokenSog
from spaceport.splats.sog.codec.reader import read_sog
from spaceport.splats.sog.palette import palette
from spaceport.splats.sog.palette.growth import Growth

CHECKING = "Comparing the compressed model with the original"
OWN_BUDGET = 1 << 36  # what we wrote ourselves may need as much memory as the model did
META_BYTES = 6500  # of meta.json in the bundle, and the zip around the images
ATTEMPTS = 3
SPARE_DB = 0.3  # asked of the tables above the target, because a second attempt costs more than it saves
NEAR_DB = 0.15  # so little over the target, a smaller file is not sought
FIRMLY = 2  # times what an attempt fell short of goes on top: a third attempt costs more than it saves
WORTH = 0.04  # and neither when the tables foresee a gain of so small a share of the bytes
PAST_BEST = 2  # palettes larger than the best so far that are tried before growth ends
NEAR_BYTES = 0.97  # and so full, a better one is not


@dataclass(frozen=True)
class File:
    """A bundle that was written and read back, and holds just what was rendered."""

    encoded: Encoded
    bytes: int
    digest: str
    """SHA-256 of the bundle."""
    errors: dict[str, float]


@dataclass(frozen=True)
class Attempt:
    """One way to store the model, and how it looks. Its file is made when it is first asked for: not all are."""

    quality: Quality
    draft: Draft
    proof: proof.Proof
    limit: float
    """PSNR that the windows foresee with all but SH as finely as the format can, dB."""

    @cached_property
    def file(self) -> File:
        """Raises BrokenSog: what can be read back is not what was rendered."""
        encoded = code(self.draft)
        with tempfile.TemporaryDirectory(prefix="sog-") as folder:
            path = Path(folder) / writer.BUNDLE
            size = writer.write_bundle(path, encoded.files)
            digest = writer.digest(path)
            decoded = read_sog(path, OWN_BUDGET)
        if not self.draft.is_in(decoded):
            raise BrokenSog("The file, read back, does not hold the model that was rendered.")
        return File(encoded, size, digest, proof.attribute_errors(encoded.gaussians, decoded))


@dataclass(frozen=True)
class Found:
    """What a search ended with: the attempt that answers the wish best, and of all of them the bytes that were
    foreseen and the mean PSNR that was seen."""

    best: Attempt
    tried: list[tuple[float, float]]


class Search:
    """Everything about one model that several attempts share."""

    def __init__(self, prepared: Prepared, prover: proof.Prover, options: CompressOptions, progress: Progress) -> None:
        self._prepared, self._prover, self._options, self._progress = prepared, prover, options, progress
        self.windows = Windows(prepared, prover, progress)
        self._attributes = attribute_tables(prepared, self.windows)
        self._limit = float(mean_psnr(sum(table.errors[-1] for table in self._attributes)))
        self._palettes: dict[int, palette.Palette] = {}
        self._parts: dict[str, Part] = {}

    def run(self, wish: Wish, progress: Progress, before: Found | None = None) -> Found:
        """Attempts until one answers the wish or no more can be gained; `before` was found for another."""
        self._progress = progress
        aim = wish if wish.psnr is None else replace(wish, psnr=wish.psnr + SPARE_DB)
        colours = self._colours(aim)
        tables = [*self._attributes, colours.table]
        kept, seen = ([before.best], before.tried) if before else ([], [])
        tried: set[tuple[int, ...]] = set()
        levels = choose(tables, META_BYTES, aim)
        while len(tried) < ATTEMPTS and levels not in tried:
            progress.update(0.5 + 0.5 * len(tried) / ATTEMPTS, CHECKING)
            tried.add(levels)
            done = self._attempt(levels, colours.options[levels[-1]])
            kept = [best([*kept, done], wish)]  # the memory of the other one is let go
            size = META_BYTES + total_size(tables, levels)
            seen = [*seen, (size, done.proof.mean)]
            aim = corrected(aim, wish, done)
            levels = again(tables, levels, aim)
            gain = 1 - (META_BYTES + total_size(tables, levels)) / size
            if satisfied(done, wish) or (good_enough(done, wish) and gain < WORTH):
                break
        return Found(kept[0], seen)

    def _colours(self, wish: Wish) -> ColourTable:
        colours = ColourTable(self._prepared, self.windows, self._options.seed, self._progress)

        def enough() -> bool:
            tables = [*self._attributes, colours.table]
            levels = choose(tables, META_BYTES, wish)
            past = colours.full_bands * PAST_BEST
            if wish.size is not None and colours.table.sizes[-1] > wish.size:
                return True
            return reaches(tables, levels, wish) and levels[-1] < len(colours.options) - past

        colours.grow(enough, self._options.palette_size)
        self._palettes.clear()
        return colours

    def _attempt(self, levels: tuple[int, ...], colour: Colours) -> Attempt:
        quality = replace(FINEST, sh_bands=colour.bands, palette_size=_size(colour), sh_step=colour.step)
        for name, level in zip(ATTRIBUTES, levels, strict=False):
            knob = KNOBS[name]
            quality = replace(quality, **{knob: getattr(at_level(name, LEVELS[level]), knob)})
        self._progress.check()
        drafted = draft(self._prepared, quality, self._palette(levels[-1], colour), self._parts)
        self._parts = drafted.parts
        return Attempt(quality, drafted, self._prover.compare(drafted.gaussians()), self._limit)

    def _palette(self, number: int, colour: Colours) -> palette.Palette | None:
        """The entries, settled by the last rounds of k-means; each choice is settled once."""
        if colour.entries is None:
            return None
        if number not in self._palettes:
            features, weights = features_of(self._prepared, colour.bands), self._prepared.weights
            growth = Growth(features, weights, self._options.seed, self._progress, colour.entries)
            growth.rounds(self._options.kmeans_rounds)
            settled = palette.finished(growth.entries, None, features, weights, colour.step, growth.coarse)
            self._palettes[number] = settled
        return self._palettes[number]


def satisfied(attempt: Attempt, wish: Wish) -> bool:
    """Whether an attempt meets the wish so closely that no other is needed."""
    if wish.size is not None and attempt.file.bytes > wish.size:
        return False
    if wish.psnr is None:
        return wish.size is None or attempt.file.bytes >= NEAR_BYTES * wish.size
    return 0 <= attempt.proof.mean - wish.psnr <= NEAR_DB


def good_enough(attempt: Attempt, wish: Wish) -> bool:
    """Whether an attempt meets the target that was set, though maybe with more bytes than it needs."""
    fits = wish.size is None or attempt.file.bytes <= wish.size
    return fits and wish.psnr is not None and attempt.proof.mean >= wish.psnr


def corrected(aim: Wish, wish: Wish, done: Attempt) -> Wish:
    """What to ask of the tables next, so that what comes of it answers the wish."""
    psnr, size = aim.psnr, aim.size
    if psnr is not None and wish.psnr is not None:
        short = wish.psnr - done.proof.mean
        psnr += (FIRMLY * short if short > 0 else short) + NEAR_DB / 3
    if size is not None and wish.size is not None and (wish.psnr is None or done.file.bytes > wish.size):
        size += int(0.995 * wish.size) - done.file.bytes
    return Wish(psnr, size)


def again(tables: Sequence[Table], before: tuple[int, ...], aim: Wish) -> tuple[int, ...]:
    """The levels of the next attempt. The palette stays where that promises as much and costs little, because to
    settle another one takes longer than all the rest."""
    free = choose(tables, META_BYTES, aim)
    same = before[-1]
    palette_only = Table(tables[-1].sizes[same : same + 1], tables[-1].errors[same : same + 1])
    kept = (*choose([*tables[:-1], palette_only], META_BYTES, aim)[:-1], same)
    cheap = total_size(tables, kept) <= (1 + WORTH) * total_size(tables, free)
    return kept if cheap and reaches(tables, kept, aim) else free


def best(attempts: Sequence[Attempt], wish: Wish) -> Attempt:
    """The attempt that answers the wish best. Files are made only where their bytes decide."""
    likeness = np.array([attempt.proof.mean for attempt in attempts])
    if wish.size is None and np.count_nonzero(good := reached(likeness, wish)) == 1:
        return attempts[int(np.argmax(good))]
    sizes = np.array([attempt.file.bytes for attempt in attempts], float)
    return attempts[pick(sizes, likeness, wish)]


def _size(colour: Colours) -> int | None:
    return None if colour.entries is None else len(colour.entries)

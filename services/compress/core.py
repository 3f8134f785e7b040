"""The core of compression: a model in, a SOG out that was decoded and rendered beside it. No file is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.compress.attribute_psnr import attribute_psnr
from services.compress.proving.flown import choose_views
from services.compress.proving.proof import Proof, Prover
from services.compress.rate_control.allocation import Target, make_target, presets_from
from services.compress.rate_control.search import COMPARING, Attempt, Search, SearchResult, SogFile
from services.compress.rate_control.tables import COMPRESSING
from services.compress.verdict import explain_rejection
from spaceport.pipeline.options import CompressOptions, CompressPreset
from spaceport.progress import Progress, Share
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.codec.encode import Encoded, prepare

VIEWS_OF_JOB = "some of the job's cameras, and made ones between and below them"
VIEWS_OF_MODEL = "made cameras, chosen from where the model's Gaussians are, because it came without its own"


@dataclass(frozen=True)
class Compressed:
    """A SOG in memory, and all that was measured of it."""

    best: Attempt
    """How it is stored and how it looks."""
    file: SogFile
    """Its bytes."""
    ceiling: Proof | None
    """How the model looks with all stored as finely as the format can; None where no target was hard to reach."""
    attempts: list[tuple[float, float]]
    """Of each attempt of the search, the last one's included: the bytes that were foreseen and the mean PSNR, dB."""
    preset: CompressPreset
    """The preset that was searched for last."""
    target: Target
    """What that search aimed at."""
    prover: Prover
    """Renders of the original, for more to be compared with it."""
    views_from: str
    """Where the views of the proof come from, in words."""
    rejection: str | None
    """Why it must not be published; None if it may."""
    attribute_psnr: Mapping[str, float]
    """PSNR, dB, with nothing rounded but one attribute, by attribute; empty if it must not be published."""

    @property
    def encoded(self) -> Encoded:
        """The files of the unbundled form, and the Gaussians that are in them."""
        return self.file.encoded

    @property
    def bundle(self) -> bytes:
        """`model.sog`: these bytes were read back and found to hold what was rendered."""
        return self.file.bundle

    @property
    def decoded(self) -> Gaussians:
        """What a reader gets, and what the proof shows."""
        return self.best.draft.gaussians()

    @property
    def proof(self) -> Proof:
        return self.best.proof


def compress(
    gaussians: Gaussians, cameras: Sequence[Camera], options: CompressOptions, progress: Progress
) -> Compressed:
    """Compress a model to SOG. The same arguments give the same bytes.

    If the result is under `options.min_psnr` or over `options.max_bytes`, the next preset up is tried; when none is
    left, the best result says in `rejection` what is wrong with it.

    Args:
        gaussians: the model, with all that a trainer may leave in it.
        cameras: of the photos, for the proof to look from; without any, made ones are taken.

    Raises:
        EmptyModel: no Gaussian of the model can be stored.
        TooMany: the model has more Gaussians than a SOG holds.
        BrokenSog: what was written does not read back as what was rendered: a bug of the encoder.
    """
    progress.update(0.05, COMPRESSING, gaussians=len(gaussians))
    prepared = prepare(gaussians, options.order, options.seed, progress)
    progress.update(0.1, COMPARING)
    prover = Prover(gaussians, choose_views(prepared.stored, cameras), progress)
    del gaussians  # from here on only its renders are needed
    search = Search(prepared, prover, options, Share(progress, 0.2, 0.4))
    result, preset, target = _search_presets(search, options, progress)
    best = result.best
    rejection = explain_rejection(best, options)
    psnr_by_attribute: Mapping[str, float] = {}
    if rejection is None:
        psnr_by_attribute = attribute_psnr(search.windows, best.draft.gaussians(search.windows.index))
    return Compressed(
        best=best,
        file=best.file,
        ceiling=result.ceiling,
        attempts=result.attempts,
        preset=preset,
        target=target,
        prover=prover,
        views_from=VIEWS_OF_JOB if cameras else VIEWS_OF_MODEL,
        rejection=rejection,
        attribute_psnr=psnr_by_attribute,
    )


def _search_presets(
    search: Search, options: CompressOptions, progress: Progress
) -> tuple[SearchResult, CompressPreset, Target]:
    """The result of all searches, and the preset and the target of the last one."""
    preset, *higher = presets_from(options.preset)
    share = 0.55 / (1 + len(higher))
    target = make_target(preset, options.target_psnr, options.max_bytes, options.min_psnr)
    result = search.run(target, Share(progress, 0.4, 0.4 + share))
    for number, preset_above in enumerate(higher, start=1):
        if explain_rejection(result.best, options) is None or target.psnr is None:
            break
        preset = preset_above
        target = make_target(preset, None, options.max_bytes, options.min_psnr)
        begin = 0.4 + number * share
        result = search.run(target, Share(progress, begin, begin + share), result)
    return result, preset, target

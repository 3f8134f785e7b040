"""Combines the evidence about up: the likeliest direction where each source may be right, or about something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.sfm.georeference.up.evidence import OPEN, UpEvidence, tangents
from services.sfm.georeference.up.sphere import DIRECTIONS
from services.sfm.georeference.wgs84 import Array

ANYWHERE: Final = 1 / (4 * np.pi)
"""Density of a direction of which nothing is known."""
BLUR: Final = np.radians(3.0)  # of the first search, which is coarser than the sharpest evidence
STARTS: Final = 12
ROUNDS: Final = 30
LONGEST_STEP: Final = 0.5
CONVERGED: Final = 1e-7
APART: Final = np.radians(8.0)  # directions further from each other are different answers
MAX_DEVIATIONS: Final = 3.0  # by which a source may miss the chosen direction without contradicting it


@dataclass(frozen=True, eq=False)
class UpEstimate:
    """The chosen direction, and what each source makes of it."""

    direction: Array
    """Up in the model's frame [3], of unit length."""
    sigma: float
    """Its standard deviation (radians) across the weaker axis; answers that are nearly as likely count."""
    evidence: list[UpEvidence]

    @property
    def sigma_deg(self) -> float:
        return float(np.degrees(self.sigma))

    def contradicted(self, evidence: UpEvidence) -> bool:
        """Whether a source misses the chosen direction by more than its uncertainty."""
        deviation = float(np.linalg.norm(evidence.deviations(self.direction[None])[0]))
        return evidence.reliability <= 0 or deviation > MAX_DEVIATIONS


def combine_evidence(evidence: list[UpEvidence]) -> UpEstimate:
    """The direction of the largest likelihood.

    Each source is right with the probability `reliability`, normally distributed about its direction, or says nothing
    about up: a mixture with a uniform distribution over the sphere, which is what makes the estimate robust (Jepson
    and Black, "Mixture models for optical flow computation", 1993). It is searched over the sphere and
    refined by reweighted least squares.
    """
    usable = [source for source in evidence if source.reliability > 0]
    if not usable:
        return UpEstimate(np.array([0.0, 0.0, 1.0]), OPEN, evidence)
    own = np.array([sign * source.direction for source in usable for sign in (1.0, -1.0)])
    starts = DIRECTIONS[_apart(DIRECTIONS, _likelihood(usable, DIRECTIONS, BLUR), APART)[:STARTS]]
    answers = np.concatenate([_refine(usable, _refine(usable, starts, BLUR), 0.0), _refine(usable, own, 0.0)])
    likelihoods = _likelihood(usable, answers, 0.0)
    order = _apart(answers, likelihoods, APART / 4)
    return UpEstimate(answers[order[0]], _sigma(usable, answers[order], likelihoods[order]), evidence)


def _likelihood(evidence: list[UpEvidence], directions: Array, blur: float) -> Array:
    """The logarithm of the likelihood of unit vectors [M,3] as up [M]."""
    total = np.zeros(len(directions))
    for source in evidence:
        total += source.vote * np.log(_density(source, directions, blur) + (1 - source.reliability) * ANYWHERE)
    return total


def _density(source: UpEvidence, directions: Array, blur: float) -> Array:
    """The density [M] of the source's own part of the mixture at unit vectors [M,3]."""
    sigmas = np.hypot(source.sigmas, blur)
    squares = np.square(source.deviations(directions) * source.sigmas / sigmas).sum(axis=1)
    area = 2 * np.pi * np.prod(np.minimum(sigmas, OPEN)) * (1 if source.signed else 2)
    return np.asarray(source.reliability * np.exp(-squares / 2) / area)


def _apart(directions: Array, likelihoods: Array, angle: float) -> list[int]:
    """Indices of unit vectors [M,3], the likeliest first, that are `angle` (radians) or more from each other."""
    chosen: list[int] = []
    free = np.ones(len(directions), dtype=bool)
    for index in np.argsort(-likelihoods):
        if free[index]:
            chosen.append(int(index))
            free &= directions @ directions[index] < np.cos(angle)
        if not free.any():
            break
    return chosen


def _refine(evidence: list[UpEvidence], starts: Array, blur: float) -> Array:
    """The maxima of the likelihood nearest to `starts` [M,3]: Gauss-Newton on the sphere, weights are the odds."""
    ups = starts
    for _ in range(ROUNDS):
        information, pull, basis = _normal_equations(evidence, ups, blur)
        steps = np.linalg.solve(information + 1e-9 * np.eye(2), pull[:, :, None])[:, :, 0]
        lengths = np.linalg.norm(steps, axis=1, keepdims=True)
        steps *= np.minimum(1.0, LONGEST_STEP / np.maximum(lengths, 1e-12))
        ups = ups + np.einsum("mt,mtj->mj", steps, basis)
        ups = ups / np.linalg.norm(ups, axis=1, keepdims=True)
        if lengths.max() < CONVERGED:
            break
    return np.asarray(ups)


def _normal_equations(evidence: list[UpEvidence], ups: Array, blur: float) -> tuple[Array, Array, Array]:
    """At each of `ups` [M,3]: weighted information [M,2,2], pull towards the sources [M,2], and the basis [M,2,3]."""
    count, delta = len(ups), 1e-4
    basis = tangents(ups)
    steps = ups[:, None] + delta * basis
    around = np.concatenate([ups, (steps / np.linalg.norm(steps, axis=2, keepdims=True)).reshape(-1, 3)])
    information, pull = np.zeros((count, 2, 2)), np.zeros((count, 2))
    for source in evidence:
        own = _density(source, ups, blur)
        weights = source.vote * own / (own + (1 - source.reliability) * ANYWHERE)
        misses = source.deviations(around) * source.sigmas / np.hypot(source.sigmas, blur)
        slopes = (misses[count:].reshape(count, 2, 2) - misses[:count, None]) / delta
        information += weights[:, None, None] * slopes @ slopes.transpose(0, 2, 1)
        pull -= weights[:, None] * np.einsum("mtk,mk->mt", slopes, misses[:count])
    return information, pull, basis


def _sigma(evidence: list[UpEvidence], answers: Array, likelihoods: Array) -> float:
    """The spread of the first and best answer, and the expected angle to the others, nearly as likely at times."""
    information, _, _ = _normal_equations(evidence, answers, 0.0)
    spreads = np.minimum(OPEN, 1 / np.sqrt(np.maximum(np.linalg.eigvalsh(information), 1e-12)))
    odds = np.exp(likelihoods - likelihoods[0]) * spreads.prod(axis=1)
    angles = np.arccos(np.clip(answers @ answers[0], -1.0, 1.0))
    return float(min(OPEN, np.hypot(spreads[0].max(), odds @ angles / odds.sum())))

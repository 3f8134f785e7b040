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
    starts = np.concatenate([DIRECTIONS[_best(_likelihood(usable, DIRECTIONS, BLUR))], own])
    answers = [_refine(usable, _refine(usable, start, BLUR), 0.0) for start in starts]
    likelihoods = _likelihood(usable, np.array(answers), 0.0)
    best = int(np.argmax(likelihoods))
    return UpEstimate(answers[best], _sigma(usable, np.array(answers), likelihoods), evidence)


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


def _best(likelihoods: Array) -> Array:
    """Indices into `DIRECTIONS` of the likeliest, `APART` from each other."""
    chosen: list[int] = []
    for index in np.argsort(-likelihoods):
        if all(DIRECTIONS[index] @ DIRECTIONS[other] < np.cos(APART) for other in chosen):
            chosen.append(int(index))
        if len(chosen) == STARTS:
            break
    return np.array(chosen)


def _refine(evidence: list[UpEvidence], start: Array, blur: float) -> Array:
    """The nearest maximum of the likelihood, by Gauss-Newton on the sphere; weights are the sources' odds."""
    up = start
    for _ in range(ROUNDS):
        information, pull = _normal_equations(evidence, up, blur)
        step = np.linalg.solve(information + 1e-9 * np.eye(2), pull)
        length = float(np.linalg.norm(step))
        step *= min(1.0, 0.5 / max(length, 1e-12))
        up = up + step @ tangents(up)
        up = up / np.linalg.norm(up)
        if length < 1e-9:
            break
    return up


def _normal_equations(evidence: list[UpEvidence], up: Array, blur: float) -> tuple[Array, Array]:
    """The weighted information [2,2] about steps along `tangents(up)`, and the pull [2] towards the sources."""
    basis, delta = tangents(up), 1e-4
    steps = up + delta * basis
    around = np.concatenate([up[None], steps / np.linalg.norm(steps, axis=1, keepdims=True)])
    information, pull = np.zeros((2, 2)), np.zeros(2)
    for source in evidence:
        own = float(_density(source, up[None], blur)[0])
        weight = source.vote * own / (own + (1 - source.reliability) * ANYWHERE)
        misses = source.deviations(around) * source.sigmas / np.hypot(source.sigmas, blur)
        slopes = (misses[1:] - misses[0]) / delta
        information += weight * slopes @ slopes.T
        pull -= weight * slopes @ misses[0]
    return information, pull


def _sigma(evidence: list[UpEvidence], answers: Array, likelihoods: Array) -> float:
    """The spread of the best answer, and the expected angle to the others, which are nearly as likely at times."""
    best = answers[int(np.argmax(likelihoods))]
    chosen: list[int] = []
    for index in np.argsort(-likelihoods):
        if all(answers[index] @ answers[other] < np.cos(APART / 4) for other in chosen):
            chosen.append(int(index))
    spreads = np.array([_spread(evidence, answers[index]) for index in chosen])
    odds = np.exp(likelihoods[chosen] - likelihoods.max()) * spreads.prod(axis=1)
    odds /= odds.sum()
    angles = np.arccos(np.clip(answers[chosen] @ best, -1.0, 1.0))
    return float(min(OPEN, np.hypot(spreads[0].max(), odds @ angles)))


def _spread(evidence: list[UpEvidence], up: Array) -> Array:
    """Standard deviations [2] of an answer."""
    information, _ = _normal_equations(evidence, up, 0.0)
    return np.asarray(np.minimum(OPEN, 1 / np.sqrt(np.maximum(np.linalg.eigvalsh(information), 1e-12))))

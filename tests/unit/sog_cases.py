"""Any model at all, and what a SOG of it must keep."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from random_models import gaussians

from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes import importance, positions, rotations
from spaceport.splats.sog.attributes.quality import FINEST, Quality


def made(seed: int, count: int, coefficients: int, kind: str) -> Gaussians:
    """A model with the awkwardness of `kind`."""
    random = np.random.default_rng(seed)
    arrays = {
        "means": random.normal(0, 3, (count, 3)),
        "quats": random.normal(0, 1, (count, 4)),
        "scales": random.normal(-4, 1.5, (count, 3)),
        "opacities": random.normal(0, 3, count),
        "sh0": random.normal(0, 1, (count, 1, 3)),
        "shN": random.normal(0, 0.1, (count, coefficients, 3)),
    }
    if kind == "constant":
        arrays = {name: np.broadcast_to(a[:1], a.shape).copy() for name, a in arrays.items()}
        arrays["opacities"][:] = 1.0
    if kind == "duplicates":
        arrays = {name: a[random.integers(0, max(1, count // 4), count)] for name, a in arrays.items()}
    if kind == "extreme":
        few = random.random(count) < 0.05
        arrays["means"][few] *= 10.0 ** random.uniform(-8, 7, (few.sum(), 1))
        arrays["scales"][few] += random.uniform(-30, 20, (few.sum(), 3))
        arrays["opacities"][few] *= 1e6
        arrays["sh0"][few] *= 1000
        arrays["quats"][few] *= 1e-30
    return gaussians(**{name: a.astype(np.float32) for name, a in arrays.items()})


models = st.builds(
    made,
    st.integers(0, 10**6),
    st.one_of(st.integers(1, 70), st.integers(1, 2000), st.integers(1, 5000)),
    st.sampled_from([0, 3, 8, 15]),
    st.sampled_from(["plain", "constant", "duplicates", "extreme"]),
)


def assert_within_steps(stored: Gaussians, decoded: Gaussians, meta: dict[str, Any], quality: Quality = FINEST) -> None:
    """All but higher SH came back to within half a step of the format, or of the coarser steps of `quality`.

    `stored` are the Gaussians in the order of the file, and `meta` is its meta.json.
    """
    span = np.array(meta["means"]["maxs"]) - np.array(meta["means"]["mins"])
    visual = importance.visual_importance(stored)
    steps, bytes_off = np.ones((len(stored), 1)), np.ones((len(stored), 1))
    if quality.position_slack:
        slack = importance.position_slack(stored, visual, quality.position_slack)
        step = (1 + np.abs(stored.means.astype(float))) * np.maximum(span, 1e-300) / 65535
        steps = 2.0 * importance.multiples(slack[:, None], step)  # at the very ends a whole multiple
    if quality.rotation_slack:
        slack = importance.rotation_slack(stored, visual, quality.rotation_slack)
        bytes_off = 1 + importance.multiples(slack, rotations.STEP_DEGREES)[:, None] / 2
    logs = np.abs(positions.log_scale(stored.means) - positions.log_scale(decoded.means))
    assert (logs <= steps * span / 65535 / 2 + 4e-6).all()
    sizes, colours = meta["scales"]["codebook"], meta["sh0"]["codebook"]
    assert (np.abs(stored.scales - decoded.scales) <= codebook_slack(sizes, stored.scales)).all()
    assert (np.abs(stored.sh0 - decoded.sh0) <= codebook_slack(colours, stored.sh0)).all()
    assert (np.abs(sigmoid(stored.opacities) - sigmoid(decoded.opacities)) <= 0.5 / 255 + 1e-6).all()
    turned = np.abs(rotations.encode(stored.quats).astype(int) - rotations.encode(decoded.quats))
    assert (turned[:, :3] <= bytes_off).all() and not turned[:, 3].any()


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(float), -50, 50))))


def codebook_slack(levels: list[float], values: np.ndarray) -> np.ndarray:
    """Half the distance between the two levels that each value lies between, and a hair for float32."""
    book = np.array(levels)
    at = np.clip(np.searchsorted(book, values), 1, len(book) - 1)
    return np.asarray((book[at] - book[at - 1]) / 2 + 1e-6 * np.maximum(1, np.abs(values)))

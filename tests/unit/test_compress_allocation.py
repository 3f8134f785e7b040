"""Which level of each attribute meets a target best: the choice alone, on tables made by hand."""

from itertools import product

import numpy as np
import pytest

from services.compress.rate_control.allocation import (
    TARGET_PSNR,
    RateDistortion,
    Target,
    choose_levels,
    choose_result,
    make_target,
    presets_from,
)
from spaceport.pipeline.options import CompressPreset

WEB, BALANCED, ARCHIVE = CompressPreset
SIZES = np.array([100.0, 200.0, 300.0, 400.0])
PSNR = np.array([35.0, 41.0, 45.0, 45.02])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target(40.0, None), 1),  # the smallest that reaches the target
        (Target(41.0, None), 1),
        (Target(41.1, None), 2),
        (Target(60.0, None), 2),  # out of reach: the best, but not for a hair more
        (Target(None, None), 2),
        (Target(None, 250), 1),  # the best under the limit
        (Target(None, 200), 1),
        (Target(40.0, 300), 1),  # both: no more than the target needs
        (Target(44.0, 250), 1),  # the limit comes first
        (Target(30.0, 50), 0),  # nothing fits: the smallest, so that a person is total how small it gets
    ],
)
def test_the_best_answer_is_picked(target: Target, expected: int) -> None:
    assert choose_result(SIZES, PSNR, target) == expected


def tables(seed: int) -> list[RateDistortion]:
    random = np.random.default_rng(seed)
    return [
        RateDistortion(np.sort(random.uniform(10, 1000, 4))[::-1], np.sort(random.uniform(1e-6, 1e-3, (4, 2)), axis=0))
        for _ in range(3)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_no_other_combination_is_smaller_and_as_alike(seed: int) -> None:
    made, target = tables(seed), Target(31.0, None)
    chosen = choose_levels(made, 50.0, target)

    def total(levels: tuple[int, ...]) -> tuple[float, float]:
        size = 50 + sum(float(table.sizes[i]) for table, i in zip(made, levels, strict=True))
        error = sum(table.errors[i] for table, i in zip(made, levels, strict=True))
        return size, float(np.mean(-10 * np.log10(error)))

    size, psnr = total(chosen)
    others = [total(levels) for levels in product(range(4), repeat=3)]
    reaching = [other for other in others if other[1] >= 31.0]
    assert reaching, "the case must be one that can be met"
    assert psnr >= 31.0 and size == pytest.approx(min(other[0] for other in reaching))


def test_a_target_may_be_named_or_comes_from_the_preset() -> None:
    assert make_target(WEB, None, None, 30.0) == Target(TARGET_PSNR[WEB], None)
    assert make_target(BALANCED, 38.0, None, 30.0) == Target(38.0, None)
    assert make_target(BALANCED, None, 5000, 30.0) == Target(None, 5000)
    assert make_target(BALANCED, 38.0, 5000, 30.0) == Target(38.0, 5000)
    assert make_target(WEB, None, None, 47.0) == Target(47.0, None)  # what would not be published is not aimed at


def test_presets_above_are_tried_in_order() -> None:
    assert presets_from(WEB) == [WEB, BALANCED, ARCHIVE]
    assert presets_from(ARCHIVE) == [ARCHIVE]
    assert TARGET_PSNR[WEB] < TARGET_PSNR[BALANCED] < TARGET_PSNR[ARCHIVE]

"""When training ends early, from scores alone."""

from __future__ import annotations

from services.train.stopping import Stopping, StopReason


def feed(stopping: Stopping, scores: list[float], *, settled: bool = True, start: int = 0) -> StopReason | None:
    for step, score in enumerate(scores):
        if reason := stopping.observe(start + 100 * step, score, settled=settled):
            return reason
    return None


def test_a_plateau_ends_after_its_patience_and_not_before() -> None:
    stopping = Stopping(patience=300)
    assert feed(stopping, [20, 21, 22, 22, 22]) is None
    assert stopping.observe(500, 22, settled=True) is StopReason.PLATEAU
    assert (stopping.best, stopping.best_iteration) == (22, 200)


def test_noise_does_not_restart_the_patience_but_the_best_is_kept() -> None:
    stopping = Stopping(patience=300)
    assert feed(stopping, [22, 22.004, 22.008, 22.006]) is StopReason.PLATEAU
    assert stopping.best == 22.008
    assert stopping.best_iteration == 200


def test_no_plateau_while_the_photos_still_grow() -> None:
    stopping = Stopping(patience=100)
    assert feed(stopping, [25, 24, 23, 22, 21], settled=False) is None
    assert feed(stopping, [21, 21.5], start=500) is None
    assert feed(stopping, [21.5], start=700) is StopReason.PLATEAU


def test_the_target_ends_at_once_even_early() -> None:
    assert Stopping(target=25).observe(10, 25.0, settled=False) is StopReason.TARGET
    assert Stopping(target=25).observe(10, 24.9, settled=True) is None


def test_a_blurred_early_model_is_not_the_best() -> None:
    stopping = Stopping(patience=1_000)
    feed(stopping, [24.0, 25.0], settled=False)
    assert stopping.best == 25.0
    feed(stopping, [23.0, 23.5, 23.2], start=200)
    assert (stopping.best, stopping.best_iteration) == (23.5, 300)


def test_without_patience_or_target_it_never_ends() -> None:
    assert feed(Stopping(), [20.0] * 500) is None


def test_a_reloaded_one_goes_on_as_if_never_cut() -> None:
    whole, first, second = (Stopping(patience=300) for _ in range(3))
    scores = [20, 21, 20.5, 20.7]
    feed(whole, scores)
    feed(first, scores[:2])
    second.load(first.state())
    feed(second, scores[2:], start=200)
    assert second.state() == whole.state()
    assert whole.observe(400, 20.9, settled=True) is second.observe(400, 20.9, settled=True) is StopReason.PLATEAU

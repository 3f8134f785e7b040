"""Phases of a stage fill one bar, end to end."""

import pytest

from spaceport.progress import Count, Share, Silent


class Heard(Silent):
    def __init__(self) -> None:
        self.news: list[tuple[float, str, dict[str, Count]]] = []
        self.checks = 0

    def update(self, fraction: float, message: str, **counts: Count) -> None:
        self.news.append((fraction, message, counts))

    def check(self) -> None:
        self.checks += 1


def test_a_share_ends_where_the_next_begins() -> None:
    heard = Heard()
    first, second = Share(heard, 0, 0.8), Share(heard, 0.8, 1)
    first.update(0.5, "training", iteration=7)
    first.update(1, "training")
    second.update(0, "measuring")
    second.update(1, "measuring")
    assert [fraction for fraction, *_ in heard.news] == pytest.approx([0.4, 0.8, 0.8, 1])
    assert heard.news[0][1:] == ("training", {"iteration": 7})


def test_a_share_passes_the_end_on() -> None:
    heard = Heard()
    Share(Share(heard, 0, 0.5), 0, 1).check()
    assert heard.checks == 1

"""The job's row is the same whatever the order and number of deliveries, and never goes backwards."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_cases import JOB, START, ended, requested, staged, whole_job

from spaceport.pipeline.contract import AnyManifest, JobState, StageName
from spaceport.pipeline.jobs.state import END_STATES, RANK, Beat, JobRecord, advance, overall_percent


def fold(news: list[AnyManifest | Beat], row: JobRecord | None = None) -> list[JobRecord]:
    rows = []
    for item in news:
        if (row := advance(row, item)) is not None:
            rows.append(row)
    return rows


@st.composite
def deliveries(draw: st.DrawFn) -> list[AnyManifest]:
    """Every manifest of a whole job one to three times, in any order."""
    state = draw(st.sampled_from([JobState.COMPLETED, JobState.FAILED, JobState.STOPPED]))
    copies = [item for item in whole_job(state) for _ in range(draw(st.integers(1, 3)))]
    return draw(st.permutations(copies))


@given(deliveries())
def test_any_order_and_number_of_deliveries_gives_the_same_row(news: list[AnyManifest]) -> None:
    end = next(item for item in news if item.kind == "end")
    straight = fold([*whole_job(end.state)])[-1]
    shuffled = fold([*news])[-1]
    # Only how far a job that did not complete had come depends on when its end was heard.
    ignore = {"percent"} if end.state in {JobState.FAILED, JobState.STOPPED} else set()
    assert shuffled.model_dump(exclude=ignore) == straight.model_dump(exclude=ignore)


beats = st.builds(
    Beat,
    stage=st.sampled_from(StageName),
    fraction=st.floats(-1, 2),
    message=st.just("working"),
    counts=st.just({"iteration": 5}),
    at=st.integers(0, 900).map(lambda second: START + timedelta(seconds=second)),
)


@given(st.lists(st.one_of(st.sampled_from(whole_job()), beats), max_size=25))
def test_state_and_percent_never_fall(news: list[AnyManifest | Beat]) -> None:
    rows = fold(news)
    for before, after in pairwise(rows):
        assert RANK[after.state] >= RANK[before.state]
        assert after.percent >= before.percent
        assert after.updated_at >= before.updated_at
        if before.state in END_STATES:
            assert after.state == before.state


@given(beats)
def test_a_beat_cannot_make_a_row(beat: Beat) -> None:
    assert advance(None, beat) is None


def test_an_end_is_final() -> None:
    row = fold([requested(), ended(JobState.STOPPED), ended(JobState.COMPLETED)])[-1]
    assert row.state is JobState.STOPPED


def test_a_beat_tells_state_percent_and_live_figures() -> None:
    beat = Beat(StageName.TRAIN, 0.5, "Training", {"psnr": 24.2}, START + timedelta(minutes=2))
    row = fold([requested(), staged(StageName.SFM), beat])[-1]
    assert (row.state, row.percent, row.live) == (JobState.TRAINING, 57.5, {"psnr": 24.2})
    assert row.heartbeat_at == beat.at


def test_a_late_beat_of_a_finished_stage_changes_nothing() -> None:
    row = fold([requested(), staged(StageName.SFM)])[-1]
    late = Beat(StageName.SFM, 0.9, "late", {}, START + timedelta(hours=1))
    assert advance(row, late) is row


def test_counts_of_the_later_stage_win() -> None:
    row = fold([staged(StageName.COMPRESS), staged(StageName.TRAIN), requested()])[-1]
    assert row.counts == {"photos": 18, "gaussians": 3000, "train": 2, "compress": 3}
    assert row.job_id == JOB
    assert row.cost_usd == {"train": 0.0, "compress": 0.0}, "on a machine of one's own"


@pytest.mark.parametrize(("stage", "fraction", "percent"), [("sfm", 0, 0), ("sfm", 1, 25), ("compress", 9, 100)])
def test_overall_percent(stage: str, fraction: float, percent: float) -> None:
    assert overall_percent(StageName(stage), fraction) == percent

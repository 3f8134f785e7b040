"""An estimate and what a job has cost are counted by the same lines."""

from __future__ import annotations

import itertools

import pytest
from pipeline_cases import JOB, requested, staged

from spaceport.pipeline.contract import AnyManifest, Artefact, StageManifest, StageName, Upload
from spaceport.pipeline.costs import (
    FREE,
    MODEL_BYTES,
    PHOTO_BYTES,
    SOG_BYTES,
    UNDISTORTED,
    actual_cost,
    estimate_costs,
    estimate_job_usd,
)
from spaceport.pipeline.jobs.state import JobRecord, advance
from spaceport.pipeline.options import Preset, TrainOptions
from spaceport.pipeline.pricing import MACHINES, cost_usd, stage_seconds

PHOTOS = 18
ITERATIONS = 2_700
UPLOAD = Upload(bucket="uploads", key="uploads/a.zip", etag="1", bytes=PHOTOS * PHOTO_BYTES)


def in_the_cloud(stage: StageName, artefacts: list[Artefact]) -> StageManifest:
    """A stage that took just what was estimated."""
    seconds, machine = stage_seconds(PHOTOS, ITERATIONS)[stage], MACHINES[stage]
    costs = {"seconds": seconds, "instance_type": machine, "usd": cost_usd(machine, seconds)}
    return staged(stage, upload=UPLOAD).model_copy(update=costs | {"artefacts": artefacts})


def artefacts(job: str = JOB) -> dict[StageName, list[Artefact]]:
    def of(key: str, size: float) -> Artefact:
        return Artefact(key=f"jobs/{job}/{key}", bytes=round(size))

    photos = PHOTOS * PHOTO_BYTES
    return {
        StageName.SFM: [of("extracted/a.jpg", photos), of("colmap/dense/images/a.jpg", UNDISTORTED * photos)],
        StageName.TRAIN: [of("gaussian/model.ply", MODEL_BYTES)],
        StageName.COMPRESS: [of("compressed/model.sog", SOG_BYTES)],
    }


@pytest.mark.parametrize("stage", StageName)
def test_a_stage_that_goes_as_estimated_costs_what_was_estimated(stage: StageName) -> None:
    estimate = estimate_costs(TrainOptions(), PHOTOS)[stage]
    cost = actual_cost(in_the_cloud(stage, artefacts()[stage]))
    assert cost[:3] == pytest.approx(estimate[:3])
    assert cost.requests == pytest.approx(estimate.requests, abs=0.001), "fewer objects"
    assert all(line > 0 for line in cost)


def test_dearer_presets_are_estimated_dearer() -> None:
    dollars = [estimate_job_usd(TrainOptions(preset=preset), 300) for preset in Preset]
    assert all(cheaper < dearer for cheaper, dearer in itertools.pairwise(dollars))
    assert estimate_job_usd(TrainOptions(), 300, StageName.TRAIN) < estimate_job_usd(TrainOptions(), 300)


def test_a_machine_of_ones_own_costs_nothing() -> None:
    assert actual_cost(staged(StageName.TRAIN)) == FREE


def test_the_row_has_both_by_stage() -> None:
    row: JobRecord | None = None
    job: list[AnyManifest] = [requested(), *(in_the_cloud(stage, artefacts()[stage]) for stage in StageName)]
    for manifest in job:
        row = advance(row, manifest)
    assert row is not None
    assert list(row.estimate_usd) == list(row.cost_usd) == list(StageName)
    assert row.cost_usd == pytest.approx(row.estimate_usd, abs=0.002)


def test_a_job_that_goes_on_with_another_one_s_stages_pays_only_for_its_own() -> None:
    borrowed = in_the_cloud(StageName.SFM, artefacts("beach-0000000000")[StageName.SFM])
    row = advance(advance(None, borrowed), in_the_cloud(StageName.TRAIN, artefacts()[StageName.TRAIN]))
    assert row is not None
    assert set(row.estimate_usd) == {StageName.TRAIN, StageName.COMPRESS}
    assert row.cost_usd[StageName.SFM] == 0
    assert row.cost_usd[StageName.TRAIN] > 0

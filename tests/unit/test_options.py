"""Options: presets, the original's flat fields, and refusals that name the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spaceport.pipeline.errors import SENTENCES, Refused, Slug
from spaceport.pipeline.options import PRESETS, JobOptions, Preset, resolve
from spaceport.pipeline.reports.schemas import schemas


@pytest.mark.parametrize("preset", Preset)
def test_every_preset_is_valid_and_overridable(preset: Preset) -> None:
    assert resolve({"preset": preset.value}).preset is preset
    assert resolve({"preset": preset.value, "train": {"seed": 5}}).train.seed == 5
    for stage, chosen in PRESETS[preset].items():
        for name, value in chosen.items():
            assert getattr(getattr(resolve({"preset": preset.value}), stage), name) == value


def test_nothing_given_is_standard() -> None:
    assert resolve() == resolve({}) == resolve({"preset": "standard"})


def test_the_original_fields_are_accepted() -> None:
    options = resolve(
        {
            "progressive_resolution": False,
            "psnr_plateau_termination": False,
            "target_psnr": 30,
            "max_iterations": 700,
            "plateau_patience": 200,
            "sogs_compression": False,
            "gpu_acceleration": False,
            "optimization_enabled": True,
        }
    )
    train = options.train
    assert not train.progressive_resolution
    assert not train.plateau_stop
    assert (train.target_psnr, train.max_iterations, train.plateau_patience) == (30.0, 700, 200)
    assert train.device == "cpu"
    assert not options.compress_enabled


def test_optimization_off_switches_the_measures_off() -> None:
    train = resolve({"optimization_enabled": False}).train
    assert not train.progressive_resolution
    assert not train.plateau_stop


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"preset": "ultra"}, "preset"),
        ({"train": {"max_iterations": 0}}, "train.max_iterations"),
        ({"train": {"typo": 1}}, "train.typo"),
        ({"train": 5}, "train"),
        ({"max_iterations": "many"}, "train.max_iterations"),
        ({"max_iterations": 5, "train": []}, "train"),
        ({"surprise": 1}, "surprise"),
        (["list"], "object"),
    ],
)
def test_bad_options_are_refused_by_name(options: Any, named: str) -> None:
    with pytest.raises(Refused) as refusal:
        resolve(options)
    assert refusal.value.slug is Slug.BAD_OPTIONS
    assert named in str(refusal.value)


def test_options_survive_json() -> None:
    options = resolve({"preset": "high", "target_psnr": 31.5})
    assert JobOptions.model_validate_json(options.model_dump_json()) == options


def test_every_slug_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Slug)
    assert all(sentence.endswith((".", "{why}")) for sentence in SENTENCES.values())  # `why` is a sentence itself


def test_the_schemas_in_events_are_those_of_the_code() -> None:
    folder = Path(__file__).parents[2] / "events"
    for name, text in schemas().items():
        assert json.loads((folder / name).read_text()) == json.loads(text), f"run `make schemas`: {name} is old"

"""`spaceport options`: the options, as described by the models that validate them."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spaceport.pipeline.options import PRESETS, CompressOptions, JobOptions, Preset, SfmOptions, TrainOptions

STAGES: dict[str, type[BaseModel]] = {"sfm": SfmOptions, "train": TrainOptions, "compress": CompressOptions}


def options_table(console: Console, as_json: bool) -> None:
    """Print every option: as tables for people, as one JSON Schema for programs."""
    if as_json:
        console.print_json(json.dumps(JobOptions.model_json_schema()))
        return
    example = '{"preset": "draft", "train": {"max_iterations": 900}}\n'
    console.print(Text.assemble("Pass options as JSON, nested by stage: ", (example, "bold")))
    for stage, model in STAGES.items():
        console.print(_stage_table(stage, model))
        console.print()


def _stage_table(stage: str, model: type[BaseModel]) -> Table:
    table = Table("option", *Preset, "what it does", title=stage, title_justify="left", title_style="bold", box=None)
    for name, field in model.model_fields.items():
        values = [PRESETS[preset].get(stage, {}).get(name, field.default) for preset in Preset]
        table.add_row(name, *(_shown(value) for value in values), field.description or "")
    return table


def _shown(value: Any) -> str:
    return "auto" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

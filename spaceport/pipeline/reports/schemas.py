"""The JSON Schemas of all that leaves a process: `python -m spaceport.pipeline.reports.schemas events` writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import BaseModel

from spaceport.pipeline.contract import EndManifest, RequestManifest, StageManifest
from spaceport.pipeline.options import JobOptions
from spaceport.pipeline.reports.compress import CompressReport
from spaceport.pipeline.reports.sfm import SfmReport
from spaceport.pipeline.reports.train import TrainReport
from spaceport.pipeline.reports.viewer import ViewerSettings

MODELS: list[type[BaseModel]] = [
    RequestManifest,
    StageManifest,
    EndManifest,
    JobOptions,
    SfmReport,
    TrainReport,
    CompressReport,
    ViewerSettings,
]


def schemas() -> dict[str, str]:
    """File name to JSON Schema text, for each model that leaves a process."""
    return {f"{model.__name__}.schema.json": json.dumps(model.model_json_schema(), indent=2) + "\n" for model in MODELS}


if __name__ == "__main__":
    for name, text in schemas().items():
        (Path(sys.argv[1]) / name).write_text(text)

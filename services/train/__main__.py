"""`python -m services.train`: see `stage.py` for the work and `spaceport.pipeline.stage` for the frame."""

import sys

from services.train.stage import run
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.service import Stage
from spaceport.pipeline.stage import main

if __name__ == "__main__":
    sys.exit(main(Stage(StageName.TRAIN, run, checkpoint="gaussian/checkpoint")))

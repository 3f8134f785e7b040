"""`python -m services.train`: see `stage.py` for the work and `spaceport.pipeline.stages.main` for the frame."""

import sys

from services.train.stage import run
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.stages.main import main
from spaceport.pipeline.stages.stage import Stage

if __name__ == "__main__":
    reads = "folder with colmap/dense/ in it, as sfm writes it"
    sys.exit(main(Stage(StageName.TRAIN, run, checkpoint="gaussian/checkpoint", reads=reads)))

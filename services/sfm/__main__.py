"""`python -m services.sfm`: see `stage.py` for the work and `spaceport.pipeline.stage` for the frame."""

import sys

from services.sfm.stage import CHECKPOINT, run
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.stage import main
from spaceport.pipeline.worker import Stage

if __name__ == "__main__":
    sys.exit(main(Stage(StageName.SFM, run, checkpoint=CHECKPOINT)))

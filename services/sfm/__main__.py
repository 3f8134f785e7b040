"""`python -m services.sfm`: see `stage.py` for the work and `spaceport.pipeline.stages.main` for the frame."""

import sys

from services.sfm.stage import CHECKPOINT, run
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.stages.main import main
from spaceport.pipeline.stages.stage import Stage

if __name__ == "__main__":
    reads = "zip of photos, or folder with photos or one zip in it"
    sys.exit(main(Stage(StageName.SFM, run, checkpoint=CHECKPOINT, reads=reads)))

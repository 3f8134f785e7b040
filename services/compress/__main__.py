"""`python -m services.compress`: see `stage.py` for the work and `spaceport.pipeline.stages.main` for the frame."""

import sys

from services.compress.stage import run
from spaceport.pipeline.contract import StageName
from spaceport.pipeline.stages.main import main
from spaceport.pipeline.stages.stage import Stage

if __name__ == "__main__":
    reads = "folder with gaussian/ in it, as train writes it"
    sys.exit(main(Stage(StageName.COMPRESS, run, reads=reads)))

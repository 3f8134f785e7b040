"""Runs ministack behind the door, in a process of its own: `python -m spaceport.local.serve`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import ministack.app as ministack
from ministack.services import s3

from spaceport.local import function_logs, large_objects, quick_queues
from spaceport.local.disk import DiskGuard, free_bytes
from spaceport.local.door import Door
from spaceport.local.signatures import Credentials

if __name__ == "__main__":
    credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    function_logs.install(Path(os.environ["SPACEPORT_LOGS"]) / "functions.log")
    quick_queues.install()
    guard = DiskGuard(large_objects.install(ministack.app), partial(free_bytes, Path(os.environ["S3_DATA_DIR"])))
    guard.check_before_listing(s3)
    ministack.app = Door(guard, int(os.environ["GATEWAY_PORT"]), credentials)  # its main serves this name
    ministack.main()

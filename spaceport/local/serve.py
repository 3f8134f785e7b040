"""Runs ministack behind the door, and the page: `python -m spaceport.local.serve`, a process of its own."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import ministack.app as ministack
from ministack.services import s3

from spaceport.local import api_keys, function_logs, function_roles, large_objects, quick_queues
from spaceport.local.disk import DiskGuard, free_bytes
from spaceport.local.door import Door
from spaceport.local.page import PageServer
from spaceport.local.roles import LOG, Roles
from spaceport.local.signatures import Credentials
from spaceport.web import STATIC

if __name__ == "__main__":
    credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    logs = Path(os.environ["SPACEPORT_LOGS"])
    function_logs.install(logs / "functions.log")
    function_roles.install(credentials.secret)
    quick_queues.install()
    api_keys.install()
    guard = DiskGuard(large_objects.install(ministack.app), partial(free_bytes, Path(os.environ["S3_DATA_DIR"])))
    guard.check_before_listing(s3)
    guard.check_after_writing(s3)
    roles = Roles(function_roles.policies_of, logs / LOG)
    port = int(os.environ["GATEWAY_PORT"])
    door = Door(guard, port, credentials, roles, function_roles.partition_key)
    config = Path(os.environ["SPACEPORT_PAGE"])
    ministack.app = PageServer(door, port, STATIC, config, credentials.secret)  # its main serves this name
    ministack.main()

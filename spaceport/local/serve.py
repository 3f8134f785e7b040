"""Runs ministack behind the door, in a process of its own: `python -m spaceport.local.serve`."""

from __future__ import annotations

import os

import ministack.app as ministack

from spaceport.local.door import Door
from spaceport.local.signatures import Credentials

if __name__ == "__main__":
    credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    ministack.app = Door(ministack.app, int(os.environ["GATEWAY_PORT"]), credentials)  # its main serves this name
    ministack.main()

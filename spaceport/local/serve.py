"""Runs ministack behind the door, in a process of its own: `python -m spaceport.local.serve`."""

from __future__ import annotations

import ministack.app as ministack

from spaceport.local.door import Door

if __name__ == "__main__":
    ministack.app = Door(ministack.app)  # its main serves whatever goes by this name
    ministack.main()

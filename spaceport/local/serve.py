"""Runs ministack behind the cross-origin guard, in a process of its own: `python -m spaceport.local.serve`."""

from __future__ import annotations

import ministack.app as ministack

from spaceport.local.cross_origin import CrossOriginGuard

if __name__ == "__main__":
    ministack.app = CrossOriginGuard(ministack.app)  # its main serves whatever goes by this name
    ministack.main()

"""Failures of the embedded cloud that its user can fix."""


class StateInUse(RuntimeError):
    """Another embedded cloud runs on the same state folder."""


class StateUnusable(RuntimeError):
    """No embedded cloud can run on a state folder. `str` says why, and what to do."""


class CloudDied(RuntimeError):
    """The embedded cloud no longer runs, or could not be started. `str` says why, and what to do."""

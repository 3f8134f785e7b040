"""Failures of the embedded cloud that its user can fix."""


class StateInUse(RuntimeError):
    """Another embedded cloud runs on the same state folder."""


class CloudDied(RuntimeError):
    """The embedded cloud no longer runs, and no one shut it down."""

"""What can go wrong with the embedded cloud that its user can mend."""


class StateInUse(RuntimeError):
    """Another embedded cloud runs on the same state folder."""


class CloudDied(RuntimeError):
    """The embedded cloud does not run any more, and nobody has ended it."""

"""What can go wrong with the embedded cloud that its user can mend."""


class StateInUse(RuntimeError):
    """Another embedded cloud runs on the same state folder."""

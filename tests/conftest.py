"""Property tests try the same examples every time, so that a red test speaks of the change at hand.

New examples: `make explore`, or pytest with `--hypothesis-profile=explore`.
"""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile("repeatable")

"""Property tests try the same examples every time, so that a red test speaks of the change at hand.

New examples: `make explore`, or pytest with `--hypothesis-profile=explore`.
"""

import signal

from hypothesis import settings

# A shell starts what it runs in the background with Ctrl-C ignored, children inherit that, and tests press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile("repeatable")

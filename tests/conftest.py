"""Property tests try the same examples every time and at any pace, so that a red test speaks of the change at hand.

New examples: `make explore`, or pytest with `--hypothesis-profile=explore`.
"""

import signal

from hypothesis import HealthCheck, settings

# A shell starts what it runs in the background with Ctrl-C ignored, children inherit that, and tests press Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

patient = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], print_blob=True
)
settings.register_profile("repeatable", patient, derandomize=True)
settings.register_profile("explore", patient)
settings.load_profile("repeatable")

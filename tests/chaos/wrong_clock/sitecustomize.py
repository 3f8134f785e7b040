"""On the PYTHONPATH of a Batch job whose machine has a wrong clock: all of Python's readings of it are shifted.

libfaketime would reach every program, but Python's sleep fails under it (0.9.10: clock_nanosleep, EINVAL).
"""

from __future__ import annotations

import datetime
import os
import time

SHIFT = float(os.environ.get("CHAOS_CLOCK_SHIFT", "0"))  # seconds


class _AnyDatetime(type):
    """What the true clock's class has made is an instance of the shifted one, too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _TRUE)


_TRUE = datetime.datetime


class _Shifted(datetime.datetime, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return _TRUE.now(tz) + datetime.timedelta(seconds=SHIFT)

    @classmethod
    def utcnow(cls) -> datetime.datetime:  # type: ignore[override]
        return _TRUE.utcnow() + datetime.timedelta(seconds=SHIFT)


if SHIFT:
    _time, _time_ns = time.time, time.time_ns
    time.time = lambda: _time() + SHIFT
    time.time_ns = lambda: _time_ns() + round(SHIFT * 1e9)
    datetime.datetime = _Shifted  # type: ignore[misc]

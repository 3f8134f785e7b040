"""Numbers in sentences for people: photos counted, lengths and pauses in the unit in which they are said."""

from __future__ import annotations

from typing import Final

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
MONTH_S: Final = 30.44 * DAY_S
YEAR_S: Final = 365.25 * DAY_S
_UNITS: Final = (("year", YEAR_S), ("month", MONTH_S), ("day", DAY_S), ("hour", HOUR_S), ("minute", MINUTE_S))
_LENGTHS: Final = (("km", 1000.0), ("m", 1.0), ("cm", 0.01), ("mm", 0.001))


def count(number: int, noun: str = "photo") -> str:
    """`1 photo`, `2,000 photos`: for nouns whose plural only adds an s."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """In the largest unit of which there are two at least: `90 minutes`, `3 days`."""
    for noun, unit in _UNITS:
        if (number := round(seconds / unit)) >= 2:
            return count(number, noun)
    return count(round(seconds), "second")


def length(metres: float) -> str:
    """With two digits or more, in km, m, cm or mm: `1.2 km`, `18 m`, `4.2 m`, `35 cm`, `1.2 cm`, `2.0 mm`."""
    unit, scale = next((each for each in _LENGTHS if abs(metres) >= 0.995 * each[1]), _LENGTHS[-1])
    number = metres / scale
    return f"{number:,.0f} {unit}" if abs(number) >= 9.95 else f"{number:.1f} {unit}"

"""Up within two degrees of the truth, whatever the photos say of their places and however the camera was held."""

from __future__ import annotations

from pathlib import Path

import pytest
from flights import Flight
from survey_cases import survey_run

MAX_TILT = 2.0
STRIP = Flight(plan="strip", photos=10, gimbal=True)
HALF_ORBIT = Flight(plan="half orbit", photos=12, altitude=28.0, gps=False)
NOISY = (13.0, 13.0, 13.0)
"""20 m in the median."""


@pytest.mark.parametrize(
    "flight",
    [
        pytest.param(STRIP, id="one strip with gimbal"),
        pytest.param(HALF_ORBIT, id="half an orbit", marks=pytest.mark.slow),
        pytest.param(
            Flight(**{**vars(HALF_ORBIT), "orientations": (6,)}), id="half an orbit, portrait", marks=pytest.mark.slow
        ),
        pytest.param(Flight(gps=False), id="all nadir without GPS", marks=pytest.mark.slow),
        pytest.param(
            Flight(plan="orbit", altitude=28.0, gps=False), id="oblique orbit without GPS", marks=pytest.mark.slow
        ),
        pytest.param(
            Flight(plan="grid and orbit", photos=18, gps=False, orientations=(1, 6, 1, 8)),
            id="mixed orientation",
            marks=pytest.mark.slow,
        ),
        pytest.param(Flight(plan="court", gps=False), id="on foot in a court", marks=pytest.mark.slow),
    ],
)
def test_up_is_up(flight: Flight, tmp_path: Path) -> None:
    run = survey_run(flight, tmp_path)
    assert run.registered >= 0.8 * flight.photos, run
    assert run.tilt < MAX_TILT, run


@pytest.mark.parametrize(
    "flight",
    [
        pytest.param(Flight(**{**vars(STRIP), "gps_std_m": (1.5, 1.5, 1.5)}), id="one strip with 1.5 m of noise"),
        pytest.param(Flight(gps_std_m=NOISY), id="positions wrong by 20 m", marks=pytest.mark.slow),
        pytest.param(
            Flight(plan="grid and orbit", photos=18, gps_std_m=NOISY), id="the same, orbit too", marks=pytest.mark.slow
        ),
    ],
)
def test_bad_positions_neither_tilt_the_ground_nor_make_metres(flight: Flight, tmp_path: Path) -> None:
    run = survey_run(flight, tmp_path)
    assert run.registered == flight.photos, run
    assert run.tilt < MAX_TILT, run
    assert run.says_what_its_metres_are_worth(), run
    if flight.gps_std_m == NOISY:
        assert not run.metric, run
        assert "position" in run.warnings, run
        assert "position" in run.message, run


@pytest.mark.slow
def test_late_positions_do_not_tilt_the_ground(tmp_path: Path) -> None:
    """They lag two seconds behind the photos, which is 4 m along the flight, to and fro; the report tells."""
    run = survey_run(Flight(lag_s=2.0), tmp_path)
    assert run.registered == 16, run
    assert run.tilt < MAX_TILT, run
    assert "2" in run.warnings, run
    assert "second" in run.warnings or " s " in run.warnings, (run.warnings, str(run))


@pytest.mark.slow
def test_stale_first_fixes_cost_only_themselves(tmp_path: Path) -> None:
    """The first two photos carry the last fix of another place, 25 km away."""
    run = survey_run(Flight(stale=2), tmp_path)
    assert run.registered == 16, run
    assert run.metric, run
    assert run.tilt < MAX_TILT, run
    assert run.height_error < 0.1, run
    assert "2 " in run.warnings, run
    assert "DJI_0001.JPG" in run.warnings, (run.warnings, str(run))

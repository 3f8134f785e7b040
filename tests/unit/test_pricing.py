"""What a machine is, as it was written down when it started, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaceport.pipeline.pricing import LOCAL, UNKNOWN, USD_PER_HOUR, instance_type, usd_per_hour


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPACEPORT_INSTANCE_TYPE", "SPACEPORT_MACHINE_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_outside_the_cloud_a_machine_is_local_and_costs_nothing() -> None:
    assert instance_type() == LOCAL
    assert usd_per_hour(LOCAL) == 0


@pytest.mark.parametrize(
    ("content", "machine"), [("g5.xlarge:spot\n", "g5.xlarge:spot"), ("c6i.2xlarge", "c6i.2xlarge"), ("", UNKNOWN)]
)
def test_a_machine_of_the_cloud_is_what_its_start_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, machine: str
) -> None:
    file = tmp_path / "instance-type"
    file.write_text(content)
    monkeypatch.setenv("SPACEPORT_MACHINE_FILE", str(file))
    assert instance_type() == machine


def test_a_machine_that_nobody_knows_is_never_priced_too_low(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACEPORT_MACHINE_FILE", str(tmp_path / "missing"))
    assert usd_per_hour(instance_type()) == max(USD_PER_HOUR.values())


def test_spot_costs_the_list_price_where_its_own_is_not_known() -> None:
    assert usd_per_hour("g5.xlarge:spot") == USD_PER_HOUR["g5.xlarge"]
    assert usd_per_hour("g4dn.xlarge:spot") < USD_PER_HOUR["g4dn.xlarge"]

"""docs/cost.md is what docs/cost.py computes from the prices, the parameters and the machines of today."""

from __future__ import annotations

import runpy

from template import ROOT, of_type, raw

SCRIPT = runpy.run_path(str(ROOT / "docs" / "cost.py"))


def test_the_page_is_up_to_date() -> None:
    assert SCRIPT["PAGE"].read_text() == SCRIPT["page"](), "prices or times have changed: run `make cost`"


def test_it_counts_with_the_template_s_parameters() -> None:
    parameters = raw()["Parameters"]
    for name, constant in (
        ("KeepUploadsDays", "KEEP_UPLOADS"),
        ("KeepPhotosDays", "KEEP_PHOTOS"),
        ("KeepJobsDays", "KEEP_JOBS"),
        ("Zones", "ZONES"),
    ):
        assert parameters[name]["Default"] == SCRIPT[constant]


def test_it_counts_what_the_template_has() -> None:
    interfaces = [each for each in of_type("AWS::EC2::VPCEndpoint").values() if each["VpcEndpointType"] == "Interface"]
    assert len(interfaces) == SCRIPT["ENDPOINTS"]
    assert len(of_type("AWS::CloudWatch::Alarm")) == SCRIPT["ALARMS"]
    (disk,) = of_type("AWS::EC2::LaunchTemplate")["Machine"]["LaunchTemplateData"]["BlockDeviceMappings"]
    assert (disk["Ebs"]["VolumeSize"], disk["Ebs"]["Throughput"]) == (SCRIPT["DISK_GB"], SCRIPT["DISK_MBPS"])

"""docs/cost.md is what docs/cost.py computes from the prices, the parameters and the machines of today."""

from __future__ import annotations

import runpy

from template import ROOT, of_type, raw

from spaceport.pipeline.costs import DISK_GB, DISK_MBPS, KEEP_JOBS, KEEP_PHOTOS, KEEP_UPLOADS

SCRIPT = runpy.run_path(str(ROOT / "docs" / "cost.py"))


def test_the_page_is_up_to_date() -> None:
    assert SCRIPT["PAGE"].read_text() == SCRIPT["page"](), "prices or times have changed: run `make cost`"


def test_it_counts_with_the_template_s_parameters() -> None:
    parameters = raw()["Parameters"]
    days = [parameters[name]["Default"] for name in ("KeepUploadsDays", "KeepPhotosDays", "KeepJobsDays")]
    assert days == [KEEP_UPLOADS, KEEP_PHOTOS, KEEP_JOBS]
    assert parameters["Zones"]["Default"] == SCRIPT["ZONES"]


def test_it_counts_what_the_template_has() -> None:
    interfaces = [each for each in of_type("AWS::EC2::VPCEndpoint").values() if each["VpcEndpointType"] == "Interface"]
    assert len(interfaces) == SCRIPT["ENDPOINTS"]
    alarms = of_type("AWS::CloudWatch::Alarm").values()
    metrics = [sum("MetricStat" in each for each in alarm.get("Metrics", [])) or 1 for alarm in alarms]
    assert sum(metrics) == SCRIPT["ALARM_METRICS"]
    (disk,) = of_type("AWS::EC2::LaunchTemplate")["Machine"]["LaunchTemplateData"]["BlockDeviceMappings"]
    assert (disk["Ebs"]["VolumeSize"], disk["Ebs"]["Throughput"]) == (DISK_GB, DISK_MBPS)

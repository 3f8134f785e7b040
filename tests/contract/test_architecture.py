"""The pictures are those that docs/architecture.py draws from the code, and docs/cloud.py from the template."""

from __future__ import annotations

import runpy
from xml.etree import ElementTree

import pytest
from template import ROOT, of_type

CLOUD = runpy.run_path(str(ROOT / "docs" / "cloud.py"))


@pytest.mark.parametrize("name", ["architecture", "cloud"])
def test_a_picture_is_up_to_date(name: str) -> None:
    script = runpy.run_path(str(ROOT / "docs" / f"{name}.py"))
    assert script["PICTURE"].read_text() == script["draw"](), "imports or wiring have changed: run `make architecture`"


def test_the_picture_of_the_cloud_shows_every_rule_queue_and_function() -> None:
    picture = ElementTree.fromstring(CLOUD["PICTURE"].read_text())  # noqa: S314  our own file
    texts = {element.text for element in picture.iter() if element.tag.endswith("}text")}
    for kind in ("AWS::Events::Rule", "AWS::Lambda::Function", "AWS::Batch::JobDefinition", "AWS::Batch::JobQueue"):
        assert set(of_type(kind)) <= texts, kind


def test_the_cloud_is_drawn_as_a_chain_because_the_roles_say_so() -> None:
    """From the upload to the mail, each row's target may write what sets off the next."""
    resources = CLOUD["load"](ROOT / "template.yaml")["Resources"]
    chain = CLOUD["_in_chain"](resources, list(CLOUD["_rules"](resources)))[:6]
    assert [arrow.target for arrow in chain] == [
        "IntakeFunction",
        "SfmJob",
        "TrainJob",
        "CompressJob",
        "TrackerFunction",
        "NotifyFunction",
    ]

"""What outlives the stack, and what does not."""

from __future__ import annotations

import pytest
from template import of_type, raw, resources

from spaceport.pipeline.storage import PHOTOS_TAG

DATA = ("AWS::S3::Bucket", "AWS::DynamoDB::Table")


@pytest.mark.parametrize("name", [name for name, each in resources().items() if each["Type"] in DATA])
def test_data_outlives_the_stack(name: str) -> None:
    assert resources()[name]["DeletionPolicy"] == "Retain"
    assert resources()[name]["UpdateReplacePolicy"] == "Retain"


def test_images_do_not_hold_up_the_deletion_of_the_stack() -> None:
    repositories = of_type("AWS::ECR::Repository")
    assert len(repositories) == 3
    assert all(each["EmptyOnDelete"] for each in repositories.values())


def test_photos_expire_before_models() -> None:
    rules = of_type("AWS::S3::Bucket")["PipelineBucket"]["LifecycleConfiguration"]["Rules"]
    (photos,) = [rule for rule in rules if "TagFilters" in rule]
    assert [f"{each['Key']}={each['Value']}" for each in photos["TagFilters"]] == [PHOTOS_TAG]
    assert photos["ExpirationInDays"] == "KeepPhotosDays"


def test_a_second_stack_does_not_make_the_sender_again() -> None:
    """The identity of an address is the account's: to make it twice would roll the stack back."""
    assert resources()["Sender"]["Condition"] == "NewSender"
    made = raw()["Conditions"]["NewSender"]["Fn::And"]
    assert {"Fn::Equals": [{"Ref": "CreateSender"}, "true"]} in made


def test_functions_run_on_a_python_that_lambda_supports() -> None:
    assert {each["Runtime"] for each in of_type("AWS::Lambda::Function").values()} == {"python3.13"}

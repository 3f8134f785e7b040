"""What outlives the stack, and what does not."""

from __future__ import annotations

import pytest
from template import of_type, resources

DATA = ("AWS::S3::Bucket", "AWS::DynamoDB::Table")


@pytest.mark.parametrize("name", [name for name, each in resources().items() if each["Type"] in DATA])
def test_data_outlives_the_stack(name: str) -> None:
    assert resources()[name]["DeletionPolicy"] == "Retain"
    assert resources()[name]["UpdateReplacePolicy"] == "Retain"


def test_images_do_not_hold_up_the_deletion_of_the_stack() -> None:
    repositories = of_type("AWS::ECR::Repository")
    assert len(repositories) == 3
    assert all(each["EmptyOnDelete"] for each in repositories.values())

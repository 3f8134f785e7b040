"""The template for the embedded cloud: Batch taken out, targets turned into queues, nothing else changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spaceport.local.deploy import CODE
from spaceport.local.package import package
from spaceport.local.translate import BatchTarget, FunctionTarget, Translation, fill, load, translate, without_batch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def translation() -> Translation:
    return translate(ROOT / "template.yaml", CODE)


def test_short_tags_become_long(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "a: !Ref X\nb: !GetAtt X.Arn\nc: !Sub '${X}-b'\nd: !If [C, !Ref Y, 1]\ne: !Condition C\nf: !Sub {a: b}"
    )
    assert load(path) == {
        "a": {"Ref": "X"},
        "b": {"Fn::GetAtt": ["X", "Arn"]},
        "c": {"Fn::Sub": "${X}-b"},
        "d": {"Fn::If": ["C", {"Ref": "Y"}, 1]},
        "e": {"Condition": "C"},
        "f": {"Fn::Sub": {"a": "b"}},
    }


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("a: !!python/object/apply:os.system ['true']")
    with pytest.raises(Exception, match="python/object"):
        load(path)


def test_batch_is_taken_out_and_its_arrows_are_queues(translation: Translation) -> None:
    resources = translation.template["Resources"]
    assert not [name for name, item in resources.items() if item["Type"].startswith(("AWS::Batch", "AWS::Serverless"))]
    assert {target.job_name for target in translation.batch_targets} == {"sfm", "train", "compress"}
    for target in translation.batch_targets:
        assert resources[target.queue_output]["Type"] == "AWS::SQS::Queue"
        assert target.job_definition in translation.job_definitions
        assert target.job_queue in translation.job_queues
    assert "BatchParameters" not in str(resources)


def test_every_function_that_a_rule_wakes_is_woken_through_a_queue(translation: Translation) -> None:
    resources, outputs = translation.template["Resources"], translation.template["Outputs"]
    rules = {name: item for name, item in resources.items() if item["Type"] == "AWS::Events::Rule"}
    everywhere = [rule for rule in rules.values() if "Condition" not in rule]  # a topic needs no queue before it
    targets = [target for rule in everywhere for target in rule["Properties"]["Targets"]]
    queues = {target["Arn"]["Fn::GetAtt"][0] for target in targets}
    assert len(queues) == len(targets), "each target has a queue of its own"
    both: tuple[FunctionTarget | BatchTarget, ...] = (*translation.function_targets, *translation.batch_targets)
    assert {target.queue_output for target in both} == queues
    for target in both:
        assert outputs[target.queue_output]["Value"] == {"Ref": target.queue_output}
        assert resources[target.queue_output]["Properties"]["VisibilityTimeout"] > 900, "Lambda's longest time limit"
    functions = [outputs[target.function_output]["Value"]["Ref"] for target in translation.function_targets]
    assert sorted(functions) == ["IntakeFunction", "NotifyFunction", "SweeperFunction", *["TrackerFunction"] * 2]
    assert all(30 <= target.timeout <= 900 for target in translation.function_targets)
    for target in both:
        assert target.dead_letters_output is not None
        dead = "DeadEvents" if target in translation.batch_targets else "DeadInvocations"
        assert outputs[target.dead_letters_output]["Value"] == {"Ref": dead}


def test_there_are_no_alarms_where_no_metric_arrives(translation: Translation) -> None:
    assert "AWS::CloudWatch::Alarm" not in {item["Type"] for item in translation.template["Resources"].values()}


def test_what_a_target_gets_stays_with_it() -> None:
    shared = {"InputTransformer": {"InputTemplate": "1"}, "Id": "a", "RetryPolicy": {"MaximumRetryAttempts": 2}}
    targets = [{"Arn": {"Fn::GetAtt": ["Function", "Arn"]}, **shared}, {"Arn": {"Fn::GetAtt": ["Topic", "Arn"]}}]
    made = without_batch(
        {
            "Resources": {
                "Function": {"Type": "AWS::Lambda::Function", "Properties": {}},
                "Topic": {"Type": "AWS::SNS::Topic", "Properties": {}},
                "Rule": {"Type": "AWS::Events::Rule", "Properties": {"Targets": targets}},
            }
        }
    )
    first, second = made.template["Resources"]["Rule"]["Properties"]["Targets"]
    assert first == {"Arn": {"Fn::GetAtt": ["RuleQueue0", "Arn"]}, **shared}
    assert second == targets[1]
    (target,) = made.function_targets
    assert (target.queue_output, target.dead_letters_output) == ("RuleQueue0", None)
    assert target.timeout == 3, "Lambda's own"


def test_dead_letters_must_have_a_queue_of_the_template() -> None:
    function = {"Type": "AWS::Lambda::Function", "Properties": {"DeadLetterConfig": {"TargetArn": "arn:elsewhere"}}}
    targets = [{"Arn": {"Fn::GetAtt": ["Function", "Arn"]}}]
    rule = {"Type": "AWS::Events::Rule", "Properties": {"Targets": targets}}
    with pytest.raises(ValueError, match="arn:elsewhere"):
        without_batch({"Resources": {"Function": function, "Rule": rule}})


def test_every_function_gets_the_one_package(translation: Translation) -> None:
    functions = [item for item in translation.template["Resources"].values() if item["Type"] == "AWS::Lambda::Function"]
    assert len(functions) == 5
    assert {str(item["Properties"]["Code"]) for item in functions} == {
        str({"S3Bucket": CODE["Bucket"], "S3Key": CODE["Key"]})
    }


def test_references_to_what_was_removed_become_arns_and_the_rest_outputs() -> None:
    plain: dict[str, Any] = {
        "Resources": {
            "Queue": {"Type": "AWS::Batch::JobQueue", "Properties": {}},
            "Job": {
                "Type": "AWS::Batch::JobDefinition",
                "Properties": {"Env": {"Ref": "Bucket"}, "Plain": "x", "Roles": [{"Fn::GetAtt": ["Role", "Arn"]}]},
            },
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "EventPattern": {"detail": {"jobQueue": [{"Ref": "Queue"}]}},
                    "Targets": [
                        {
                            "Arn": {"Ref": "Queue"},
                            "RoleArn": "r",
                            "BatchParameters": {"JobDefinition": {"Ref": "Job"}, "JobName": "n"},
                        },
                        {"Arn": "other"},
                    ],
                },
            },
            "Policy": {
                "Type": "X",
                "Properties": {"Resource": [{"Fn::Sub": "${Job}:*"}, {"Fn::GetAtt": ["Queue", "Arn"]}]},
            },
        }
    }
    made = without_batch(plain)
    (queue,) = made.job_queues
    ((job, properties),) = made.job_definitions.items()
    assert made.template["Resources"]["Policy"]["Properties"]["Resource"] == [{"Fn::Sub": f"{job}:*"}, queue]
    assert made.template["Resources"]["Rule"]["Properties"]["EventPattern"]["detail"]["jobQueue"] == [queue]
    outputs = {name: f"value of {item['Value']}" for name, item in made.template["Outputs"].items()}
    filled = fill(properties, outputs)
    assert filled["Env"] == "value of {'Ref': 'Bucket'}"
    assert filled["Plain"] == "x"
    assert "Role" in filled["Roles"][0]


def test_the_package_is_small_and_repeatable() -> None:
    first = package(ROOT)
    assert first == package(ROOT)
    assert len(first) < 1 << 20

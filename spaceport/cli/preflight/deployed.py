"""Whether a deployed stack works: its own state, Batch, rules, alarms and dead letters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from spaceport.cli.preflight.account import Account, Stack
from spaceport.cli.preflight.checks import Check, failed, ok, warning

_SETTLED: Final = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
_NEVER_DEPLOYED: Final = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
_GUIDE: Final = "See docs/operations.md, "


def check_stack(stack: Stack, region: str) -> Iterator[Check]:
    """What CloudFormation says of the stack."""
    reason = f": {stack.reason}" if stack.reason else ""
    sentence = f"{stack.name} is {stack.status}{reason}"
    events = (
        f"aws cloudformation describe-stack-events --stack-name {stack.name} --region {region} --query"
        " \"StackEvents[?contains(ResourceStatus, 'FAILED')].[LogicalResourceId, ResourceStatusReason]\""
    )
    if stack.status == "UPDATE_ROLLBACK_COMPLETE":
        yield warning("stack", f"{sentence}; the version before is back", events)
    elif stack.status in _SETTLED:
        yield ok("stack", sentence)
    elif stack.status in _NEVER_DEPLOYED:
        yield failed("stack", sentence, f"{events}\nsam delete --stack-name {stack.name}   # and deploy again")
    else:
        yield warning("stack", sentence, events)


def check_batch(account: Account, stack: Stack) -> Iterator[Check]:
    """The queues, and what each buys machines with."""
    batch = account.client("batch")
    arns = sorted(stack.of_type("AWS::Batch::ComputeEnvironment").values())
    described = batch.describe_compute_environments(computeEnvironments=arns)["computeEnvironments"]
    environments = {each["computeEnvironmentArn"]: each for each in described}
    queues = stack.of_type("AWS::Batch::JobQueue")
    states = batch.describe_job_queues(jobQueues=sorted(queues.values()))["jobQueues"]
    names = {arn: name for name, arn in queues.items()}
    for queue in states:
        yield judge_queue(names[queue["jobQueueArn"]], queue, environments)
    for arn in sorted(names.keys() - {queue["jobQueueArn"] for queue in states}):
        yield failed(names[arn], f"Batch does not know {arn}", "sam deploy")


def judge_queue(name: str, queue: Mapping[str, Any], environments: Mapping[str, Mapping[str, Any]]) -> Check:
    """A queue works when it takes jobs and one of its environments can buy a machine."""
    broken = []
    order = sorted(queue["computeEnvironmentOrder"], key=lambda each: int(each["order"]))
    for arn in (each["computeEnvironment"] for each in order):
        environment = environments.get(arn, {"status": "gone", "state": "gone"})
        if (environment["status"], environment["state"]) != ("VALID", "ENABLED"):
            reason = environment.get("statusReason", "")
            broken.append(f"{arn.rpartition('/')[2]} is {environment['status']}, {environment['state']}: {reason}")
    if (queue["status"], queue["state"]) != ("VALID", "ENABLED"):
        reason = queue.get("statusReason", "")
        remedy = f"aws batch update-job-queue --job-queue {queue['jobQueueArn']} --state ENABLED"
        return failed(name, f"is {queue['status']}, {queue['state']}: {reason}", remedy)
    if broken:
        judge = failed if len(broken) == len(order) else warning
        return judge(name, "; ".join(broken), f"{_GUIDE}`never_started`; then `sam deploy`.")
    return ok(name, f"takes jobs; {len(order)} environments buy machines")


def check_rules(account: Account, stack: Stack) -> Iterator[Check]:
    """A disabled rule wakes nobody, and its events are not kept."""
    events = account.client("events")
    rules = stack.of_type("AWS::Events::Rule")
    states = {name: events.describe_rule(Name=rule)["State"] for name, rule in sorted(rules.items())}
    disabled = [name for name, state in states.items() if state == "DISABLED"]
    if disabled:
        remedy = "\n".join(f"aws events enable-rule --name {rules[name]}" for name in disabled)
        yield failed("rules", f"disabled: {', '.join(disabled)}", remedy)
    else:
        yield ok("rules", f"{len(states)} are enabled")


def check_alarms(account: Account, stack: Stack) -> Iterator[Check]:
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    names = {physical: logical for logical, physical in alarms.items()}
    pages = (
        account.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(AlarmNames=sorted(names), StateValue="ALARM")
    )
    ringing = [alarm for page in pages for alarm in page["MetricAlarms"]]
    for alarm in ringing:
        name = names[alarm["AlarmName"]]
        yield warning(name, alarm.get("StateReason", "is in ALARM"), f"{_GUIDE}Alarms.")
    if not ringing:
        yield ok("alarms", f"none of {len(names)} is in ALARM")


def check_dead_letters(account: Account, queues: Mapping[str, str]) -> Iterator[Check]:
    """`queues`: the dead-letter queues, logical names and URLs."""
    counts = {name: _messages(account, url) for name, url in sorted(queues.items())}
    for name, count in counts.items():
        if count:
            url = queues[name]
            remedy = f"{_GUIDE}Dead letters:\naws sqs receive-message --queue-url {url} --message-attribute-names All"
            yield warning(name, f"{count} events that nobody could handle", remedy)
    if not any(counts.values()):
        yield ok("dead letters", f"none in {', '.join(counts)}")


def _messages(account: Account, url: str) -> int:
    names: Sequence[str] = ["ApproximateNumberOfMessages"]
    attributes = account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])

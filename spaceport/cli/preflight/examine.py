"""All questions in their order: those before the first deploy, then those about the stack."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.cli.preflight.account import Account, Stack
from spaceport.cli.preflight.checks import Check, Question, Verdict, answers, ok, unknown
from spaceport.cli.preflight.deployed import check_alarms, check_batch, check_dead_letters, check_rules, check_stack
from spaceport.cli.preflight.identity import check_identity
from spaceport.cli.preflight.images import check_images
from spaceport.cli.preflight.machines import check_offers, check_spot_role
from spaceport.cli.preflight.mail import check_sandbox, check_sender
from spaceport.cli.preflight.needs import Needs
from spaceport.cli.preflight.quotas import check_concurrency, check_machines, check_new_stack
from spaceport.cli.preflight.stack_name import check_stack_name

NOT_DEPLOYED: Final = ok("stack", "not deployed yet")


def examine_account(account: Account, name: str, sender: str, needs: Needs, data: Question) -> Iterator[Check]:
    """Every check of an account and of the stack of this name.

    Args:
        sender: the mails' sender, before a stack says it; may be empty.
        data: what is asked of the stack's bucket, if there is one.
    """
    yield from check_stack_name(name)
    for check in check_identity(account):
        yield check
        if check.verdict is Verdict.FAILED:
            return
    stack = None
    try:
        stack = account.stack(name)
    except (ClientError, BotoCoreError) as error:
        yield unknown("stack", f"CloudFormation gave no answer: {error}")
    else:
        if not stack:
            yield NOT_DEPLOYED
    questions = _questions_of_account(account, needs)
    questions += _questions_of_stack(account, stack, data) if stack else _questions_before(account, sender, needs)
    for subject, question in questions:
        yield from answers(subject, question)


def _questions_of_account(account: Account, needs: Needs) -> list[tuple[str, Question]]:
    questions: list[tuple[str, Question]] = [
        (f"quota of {machines.label}", partial(check_machines, account, machines, needs.max_cpus))
        for machines in needs.machines
    ]
    return [
        *questions,
        ("machines", partial(check_offers, account, needs)),
        ("Spot role", partial(check_spot_role, account)),
        ("concurrency", partial(check_concurrency, account)),
        ("SES", partial(check_sandbox, account)),
    ]


def _questions_before(account: Account, sender: str, needs: Needs) -> list[tuple[str, Question]]:
    return [
        ("networks and rules", partial(check_new_stack, account, needs)),
        ("sender", partial(check_sender, account, sender, deployed=False)),
    ]


def _questions_of_stack(account: Account, stack: Stack, data: Question) -> list[tuple[str, Question]]:
    queues = stack.of_type("AWS::SQS::Queue")
    dead_letters = {name: url for name, url in queues.items() if name.startswith("Dead")}
    return [
        ("sender", partial(check_sender, account, stack.parameters.get("MailFrom", ""), deployed=True)),
        ("stack", partial(check_stack, stack, account.region)),
        ("Batch", partial(check_batch, account, stack)),
        ("images", partial(check_images, account, stack)),
        ("rules", partial(check_rules, account, stack)),
        ("alarms", partial(check_alarms, account, stack)),
        ("dead letters", partial(check_dead_letters, account, dead_letters)),
        *([("data", data)] if stack.has_outputs else []),
    ]

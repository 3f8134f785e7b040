"""Who asks, and where."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError

from spaceport.cli.preflight.account import Account
from spaceport.cli.preflight.checks import Check, failed, ok

NO_REGION = failed("region", "none is set", "Add `--region eu-central-1`, or `export AWS_DEFAULT_REGION=eu-central-1`.")


def check_identity(account: Account) -> Iterator[Check]:
    """Whether AWS knows the caller. Where it does not, no other question has an answer."""
    try:
        identity = account.client("sts").get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        remedy = "aws configure      # or: aws sso login"
        yield failed("credentials", f"AWS does not take them in {account.region}: {error}", remedy)
    else:
        yield ok("credentials", f"{identity['Arn']} in {account.region}")

"""What `roles.py` needs of ministack, in its own process: policies, keys of tables, and credentials for functions.

`tests/contract/test_ministack_roles.py` says what this relies on in the exactly pinned ministack.
"""

from __future__ import annotations

from typing import Any

from ministack.core import lambda_runtime
from ministack.services import dynamodb, iam, lambda_svc, sts

from spaceport.local.access import ACCOUNT, REGION, role_secret


def install(secret: str) -> None:
    """Let functions run with credentials of their roles. `secret`: the owner's."""

    def execution_credentials(config: dict[str, Any]) -> dict[str, str]:
        role = config["Role"].rpartition("/")[2]
        key = role_secret(secret, role)
        session = {
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/function",
            "UserId": role,
            "SecretAccessKey": key,
        }
        sts.register_session(role, session)  # by which ministack itself checks URLs and forms
        return {"AWS_ACCESS_KEY_ID": role, "AWS_SECRET_ACCESS_KEY": key, "AWS_SESSION_TOKEN": ""}

    lambda_runtime.execution_credentials = execution_credentials
    lambda_svc.execution_credentials = execution_credentials


def policies_of(role: str) -> list[Any]:
    """The policies that were deployed with a role; none for a role that there is not."""
    deployed = iam._roles.get_scoped(ACCOUNT, None, role) or {}
    return list((deployed.get("InlinePolicies") or {}).values())


def partition_key(table: str, index: str | None) -> str:
    """The name of the partition key of a table or index; empty where there is none."""
    description = dynamodb._tables.get_scoped(ACCOUNT, REGION, table) or {}
    schema = description.get("KeySchema", [])
    for each in description.get("GlobalSecondaryIndexes", []) if index else []:
        if each["IndexName"] == index:
            schema = each["KeySchema"]
    return next((key["AttributeName"] for key in schema if key["KeyType"] == "HASH"), "")

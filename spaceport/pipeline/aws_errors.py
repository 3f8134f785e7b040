"""What AWS says when it refuses a call."""

from __future__ import annotations

from botocore.exceptions import ClientError


def error_code(error: ClientError) -> str:
    """AWS's name of an error, for instance `AccessDeniedException`; empty where it has none."""
    return str(error.response.get("Error", {}).get("Code", ""))

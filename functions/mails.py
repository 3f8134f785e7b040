"""How a mail leaves: through SES, from the deployment's sender. Whether it may is up to the caller."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient


@dataclass(frozen=True)
class Mail:
    """A mail as SES takes it."""

    subject: str
    text: str
    html: str


def sender() -> str | None:
    """The address from which mails are sent; None where none are."""
    return os.environ.get("SPACEPORT_MAIL_FROM") or None


def domains() -> str:
    """The domains of addresses that need no confirmation, as `addresses.is_listed` takes them."""
    return os.environ.get("SPACEPORT_MAIL_DOMAINS", "")


def send(mail: Mail, sender: str, address: str, tags: dict[str, str]) -> str:
    """Returns the mail's id. Raises botocore's `ClientError` when SES refuses sender or receiver."""
    response = ses().send_email(
        Source=f"Spaceport <{sender}>",
        Destination={"ToAddresses": [address]},
        Tags=[{"Name": name, "Value": value} for name, value in tags.items()],
        Message={
            "Subject": {"Data": mail.subject, "Charset": "UTF-8"},
            "Body": {
                "Text": {"Data": mail.text, "Charset": "UTF-8"},
                "Html": {"Data": mail.html, "Charset": "UTF-8"},
            },
        },
    )
    return response["MessageId"]


@cache
def ses() -> SESClient:
    return boto3.client("ses")

"""How a mail leaves: through SES, from the deployment's sender. Whether it may is up to the caller."""

from __future__ import annotations

import os
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from typing import TYPE_CHECKING, Final

import boto3

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient
    from mypy_boto3_ses.type_defs import MessageTagTypeDef

PICTURE_ID: Final = "model@spaceport"


@dataclass(frozen=True)
class Mail:
    """A mail as SES takes it."""

    subject: str
    text: str
    html: str
    picture: bytes | None = None
    """A JPEG that the HTML shows as `cid:` and `PICTURE_ID`."""


def sender() -> str | None:
    """The address from which mails are sent; None where none are."""
    return os.environ.get("SPACEPORT_MAIL_FROM") or None


def domains() -> str:
    """The domains of addresses that need no confirmation, as `addresses.is_listed` takes them."""
    return os.environ.get("SPACEPORT_MAIL_DOMAINS", "")


def send(mail: Mail, sender: str, address: str, tags: dict[str, str]) -> str:
    """Returns the mail's id. Raises botocore's `ClientError` when SES refuses sender or receiver."""
    source = f"Spaceport <{sender}>"
    names: list[MessageTagTypeDef] = [{"Name": name, "Value": value} for name, value in tags.items()]
    if mail.picture is not None:
        raw = mime(mail, source, address)
        sent = ses().send_raw_email(Source=source, Destinations=[address], Tags=names, RawMessage={"Data": raw})
        return sent["MessageId"]
    response = ses().send_email(
        Source=source,
        Destination={"ToAddresses": [address]},
        Tags=names,
        Message={
            "Subject": {"Data": mail.subject, "Charset": "UTF-8"},
            "Body": {
                "Text": {"Data": mail.text, "Charset": "UTF-8"},
                "Html": {"Data": mail.html, "Charset": "UTF-8"},
            },
        },
    )
    return response["MessageId"]


def mime(mail: Mail, source: str, address: str) -> bytes:
    """A mail with its picture inside: text, or HTML with what belongs to it (`multipart/related`)."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = source, address, mail.subject
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)  # noqa: S101  it was added above
    html.add_related(mail.picture, "image", "jpeg", cid=f"<{PICTURE_ID}>", disposition="inline", filename="model.jpg")
    return message.as_bytes()


@cache
def ses() -> SESClient:
    return boto3.client("ses")

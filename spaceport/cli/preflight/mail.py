"""Whether mails arrive: SES's sandbox, and the sender. Jobs run without mails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from spaceport.cli.preflight.account import Account
from spaceport.cli.preflight.checks import Check, ok, warning
from spaceport.pipeline.aws_errors import error_code

PRODUCTION = (
    "aws sesv2 put-account-details --production-access-enabled --mail-type TRANSACTIONAL --website-url URL"
    " --use-case-description TEXT --region {region}"
)


def check_sandbox(account: Account) -> Iterator[Check]:
    """In SES's sandbox mails reach only addresses that are verified in this account."""
    settings = account.client("sesv2").get_account()
    if not settings.get("SendingEnabled"):
        yield warning("SES", "sending is paused for this account", "See the reputation dashboard of SES's console.")
    elif settings.get("ProductionAccessEnabled"):
        yield ok("SES", "mails may go to any address")
    else:
        sandbox = "in the sandbox, mails reach only addresses that are verified in this account, 200 a day"
        yield warning("SES", sandbox, PRODUCTION.format(region=account.region))


def check_sender(account: Account, sender: str, *, deployed: bool) -> Iterator[Check]:
    """Whether mails may be sent from an address.

    Args:
        deployed: the stack is there, and should have made the sender's identity.
    """
    if not sender:
        how = "set the parameter MailFrom" if deployed else "name one with --mail-from, as you will when you deploy"
        yield ok("sender", f"none, so no mails are sent; for mails {how}")
        return
    address, domain = _identity(account, sender), _identity(account, sender.partition("@")[2])
    if deployed:
        yield judge_sender(sender, address, domain, account.region)
    elif address:
        yield ok("sender", f"SES knows {sender} already: deploy with CreateSender=false, or the stack is rolled back")
    else:
        yield ok("sender", f"SES does not know {sender} yet; the stack adds it, and SES sends it a link to click")


def judge_sender(sender: str, address: Any, domain: Any, region: str) -> Check:
    """`address` and `domain` are what SES says of the two identities, None where it knows none."""
    if any(identity and identity["VerifiedForSendingStatus"] for identity in (address, domain)):
        return ok("sender", f"{sender} is verified")
    if address:
        remedy = f"Click the link in SES's mail to {sender}; it is valid for 24 hours. Another one:\n"
        again = f"aws ses verify-email-identity --email-address {sender} --region {region}"
        return warning("sender", f"{sender} is not verified: no mails are sent", remedy + again)
    remedy = f"aws ses verify-email-identity --email-address {sender} --region {region}"
    return warning("sender", f"SES does not know {sender}: no mails are sent", remedy)


def _identity(account: Account, name: str) -> Any:
    try:
        return account.client("sesv2").get_email_identity(EmailIdentity=name)
    except ClientError as error:
        if error_code(error) != "NotFoundException":
            raise
        return None

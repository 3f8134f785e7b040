"""The mails that the embedded cloud has sent. None leaves this machine."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from spaceport.local.access import Access


def mails(access: Access) -> list[dict[str, Any]]:
    """Every mail since the start, the oldest first, as the embedded SES keeps them."""
    with urllib.request.urlopen(access.ministack_request("/_ministack/ses/messages"), timeout=60) as response:  # noqa: S310  loopback
        accounts: dict[str, list[dict[str, Any]]] = json.load(response)["messages"]
    return [mail for box in accounts.values() for mail in box]

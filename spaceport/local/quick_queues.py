"""Makes long polls of the embedded SQS notice a message within 20 ms: each arrow of the pipeline is one.

`tests/contract/test_ministack_queues.py` says what this relies on in the exactly pinned ministack.
"""

from __future__ import annotations

from typing import Final

from ministack.services import sqs

from spaceport.local.patching import edit

EDITS: Final = {"asyncio.sleep(min(0.1, max(0.01, ": "asyncio.sleep(min(0.02, max(0.01, "}


def install() -> None:
    """Raises `RuntimeError` when ministack is not the one that this was written for."""
    edit(sqs, "_act_receive_message", EDITS)
    sqs._HANDLERS["ReceiveMessage"] = sqs._act_receive_message

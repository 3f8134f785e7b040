"""What `spaceport/local/quick_queues.py` relies on in the exactly pinned ministack."""

from __future__ import annotations

import asyncio
import inspect

from ministack.services import sqs

from spaceport.local.patching import edited
from spaceport.local.quick_queues import EDITS


def test_a_long_poll_looks_again_after_a_pause_that_is_edited() -> None:
    assert inspect.getsource(sqs._act_receive_message).count("asyncio.sleep(") == 1
    assert "min(0.02, " in edited(sqs._act_receive_message, EDITS)
    assert sqs._HANDLERS["ReceiveMessage"] is sqs._act_receive_message
    assert asyncio.iscoroutinefunction(sqs._act_receive_message)

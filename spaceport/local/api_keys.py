"""Makes a disabled API key stop to work: AWS wants the text "false", which ministack keeps as a text, and so as true.

`tests/contract/test_ministack_keys.py` says what this relies on in the exactly pinned ministack.
"""

from __future__ import annotations

from typing import Final

from ministack.services import apigateway_v1

from spaceport.local.patching import edit

EDITS: Final = {
    "_apply_patch(key, patch_ops)": (
        '_apply_patch(key, patch_ops); key["enabled"] = str(key.get("enabled", True)).lower() == "true"'
    )
}


def install() -> None:
    """Raises `RuntimeError` when ministack is not the one that this was written for."""
    edit(apigateway_v1, "_update_api_key", EDITS)

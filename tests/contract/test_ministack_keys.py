"""What `spaceport/local/api_keys.py` relies on in the exactly pinned ministack."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from ministack.services import apigateway_v1

from spaceport.local.api_keys import EDITS
from spaceport.local.patching import edited


@pytest.mark.parametrize(("value", "is_enabled"), [("false", False), ("FALSE", False), ("", False), ("true", True)])
def test_a_key_is_enabled_as_its_text_says(value: str, is_enabled: bool) -> None:
    keys: dict[str, Any] = {"k": {"id": "k", "value": "a key", "enabled": True}}
    namespace = apigateway_v1.__dict__ | {"_api_keys": keys}
    exec(edited(apigateway_v1._update_api_key, EDITS), namespace)  # noqa: S102  its own text
    namespace["_update_api_key"]("k", {"patchOperations": [{"op": "replace", "path": "/enabled", "value": value}]})
    assert keys["k"]["enabled"] is is_enabled
    namespace["_update_api_key"]("k", {"patchOperations": [{"op": "replace", "path": "/name", "value": "false"}]})
    assert keys["k"]["enabled"] is is_enabled


def test_keys_are_changed_and_checked_in_one_place() -> None:
    assert inspect.getsource(apigateway_v1).count("_update_api_key(") == 2, "its definition and a call by name"
    assert 'key.get("enabled", True)' in inspect.getsource(apigateway_v1._resolve_api_key)

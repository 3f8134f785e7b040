"""What `spaceport/local/large_objects.py` relies on in the exactly pinned ministack."""

from __future__ import annotations

import inspect
from typing import Any

import ministack.app
import pytest
from ministack.services import s3

from spaceport.local.large_objects import COMPLETE_EDITS
from spaceport.local.patching import edited

SIGNATURES: dict[tuple[Any, str], list[str]] = {
    (ministack.app, "_read_request_body"): ["receive", "method", "headers"],
    (ministack.app, "_routing_params"): ["method", "path", "headers", "body", "query_params"],
    (ministack.app, "_send_response"): ["send", "status", "headers", "body", "head"],
    (ministack.app, "_asgi_header_list"): ["headers"],
    (s3, "md5_hash"): ["data"],
    (s3, "_compute_s3_checksum"): ["algorithm", "body"],
    (s3, "_parse_multipart_form"): ["content_type", "body"],
    (s3, "_upload_part"): ["bucket_name", "key", "body", "query_params", "headers"],
    (s3, "_atomic_write"): ["fpath", "data", "text"],
    (s3, "_persist_object"): ["bucket", "key", "obj"],
    (s3, "_read_body"): ["bucket_name", "key", "obj"],
    (s3, "_version_body"): ["bucket", "bucket_name", "key", "v"],
    (s3, "_get_object_data"): ["bucket_name", "key", "version_id"],
    (s3, "_object_disk_path"): ["bucket", "key", "account_id"],
    (s3, "_version_disk_path"): ["bucket", "key", "version_id", "account_id"],
}


@pytest.mark.parametrize(("module", "name"), SIGNATURES)
def test_what_is_replaced_or_called_has_these_arguments(module: Any, name: str) -> None:
    assert list(inspect.signature(getattr(module, name)).parameters) == SIGNATURES[module, name]


def test_the_parts_are_joined_by_the_expressions_that_areedited() -> None:
    before = inspect.getsource(s3._complete_multipart_upload)
    after = edited(s3._complete_multipart_upload, COMPLETE_EDITS)
    assert before.count('stored["body"]') == 3
    assert 'stored["body"]' not in after
    assert before.count('b"".join(') == 1
    compile(after, "s3", "exec")


def test_another_ministack_is_noticed_when_the_embedded_cloud_starts() -> None:
    with pytest.raises(RuntimeError, match="no longer has 'zip\\('"):
        edited(s3._complete_multipart_upload, {"zip(": ""})


def test_an_upload_keeps_its_parts_and_an_object_its_versions_where_they_are_looked_for() -> None:
    assert 'upload["parts"][pn] = {' in inspect.getsource(s3._upload_part)
    assert "versions = _object_versions.setdefault(vkey, [])" in inspect.getsource(s3._record_object_version)
    assert 'obj["body"] = None' in inspect.getsource(s3._persist_object), "as soon as it is in its file"
    assert hasattr(ministack.app, "_RequestBodyDisconnected")
    assert hasattr(ministack.app, "_IncompleteRequestBody")

"""Which tenant a key, an upload and a caller belong to, and a document that cannot be used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spaceport.pipeline.contract import DEFAULT_TENANT
from spaceport.pipeline.layout import TENANTS
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Caller, Limits, Tenants, UnreadableTenants, read_tenants

FIRMS = Tenants.model_validate(
    {"tenants": {"acme": {"keys": ["k1"], "admin_keys": ["k2"], "limits": {"open_jobs": 3}}, "borealis": {}}}
)


def put(bucket: Bucket, document: Any) -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    bucket.client.put_object(Bucket=bucket.name, Key=TENANTS, Body=body)


def test_without_a_document_there_is_one_tenant(bucket: Bucket) -> None:
    tenants = read_tenants(bucket)
    assert tenants.caller("any") == Caller("any", DEFAULT_TENANT, is_admin=False)
    assert tenants.of_upload("uploads/folder/a.zip") == DEFAULT_TENANT
    assert tenants.of(DEFAULT_TENANT).limits == Limits()


@pytest.mark.parametrize(
    ("key", "caller"),
    [
        ("k1", Caller("k1", "acme", is_admin=False)),
        ("k2", Caller("k2", "acme", is_admin=True)),
        ("k3", Caller("k3", DEFAULT_TENANT, is_admin=False)),
    ],
)
def test_a_key_belongs_to_its_tenant(key: str, caller: Caller) -> None:
    assert FIRMS.caller(key) == caller


@pytest.mark.parametrize(
    ("key", "tenant"),
    [
        ("uploads/acme/a.zip", "acme"),
        ("uploads/acme/b/a.zip", "acme"),
        ("uploads/acme", DEFAULT_TENANT),
        ("uploads/acme.zip", DEFAULT_TENANT),
        ("uploads/other/a.zip", DEFAULT_TENANT),
        ("uploads//acme/a.zip", DEFAULT_TENANT),
    ],
)
def test_an_upload_belongs_to_the_tenant_of_its_folder(key: str, tenant: str) -> None:
    assert FIRMS.of_upload(key) == tenant


def test_what_is_signed_for_a_tenant_is_the_tenants(bucket: Bucket) -> None:
    for name in ("acme", "borealis", DEFAULT_TENANT):
        assert FIRMS.of_upload(FIRMS.uploads_prefix(name) + "a.zip") == name


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        [],
        {"tenants": {"acme": {"key": ["k1"]}}},
        {"tenants": {"acme": {"limits": {"open_jobs": -1}}}},
        {"tenants": {"No Name": {}}},
        {"tenants": {"acme": {"keys": ["k1"]}, "borealis": {"admin_keys": ["k1"]}}},
        {"schema_version": 2},
        b" " * ((1 << 20) + 1),
    ],
)
def test_a_document_that_cannot_be_used_lets_nobody_in(bucket: Bucket, document: Any) -> None:
    put(bucket, document)
    with pytest.raises(UnreadableTenants, match=TENANTS):
        read_tenants(bucket)

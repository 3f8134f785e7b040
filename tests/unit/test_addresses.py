"""To whom mails may go: what the operator lists, and what a link confirmed: once, in time, and nothing else."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from spaceport.pipeline import addresses
from spaceport.pipeline.addresses import (
    Address,
    InvalidLink,
    address_of_link,
    confirm,
    forget_link,
    is_confirmed,
    is_listed,
    list_addresses,
    new_link,
    read_address,
)
from spaceport.pipeline.contract import now
from spaceport.pipeline.layout import address_key
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import Tenant

EMAIL = "Pilot@Example.com"
NOBODY = Tenant()
FIRM = Tenant(mail=frozenset({"Boss@firm.example", "@Drones.example"}))


@pytest.mark.parametrize(
    ("tenant", "domains", "email", "expected"),
    [
        (NOBODY, "", "a@firm.example", False),
        (NOBODY, "*", "a@firm.example", True),
        (NOBODY, "other.example, Firm.example", "a@FIRM.example", True),
        (NOBODY, "firm.example", "a@evil.firm.example", False),
        (NOBODY, "firm.example", "a@evilfirm.example", False),
        (NOBODY, "firm.example", '"a@firm.example"@evil.example', False),
        (NOBODY, ",", "a@", False),
        (FIRM, "", "boss@firm.example", True),
        (FIRM, "", "clerk@firm.example", False),
        (FIRM, "", "anyone@drones.example", True),
        (FIRM, "", "drones.example", False),
    ],
)
def test_what_needs_no_confirmation(tenant: Tenant, domains: str, email: str, *, expected: bool) -> None:
    assert is_listed(tenant, domains, email) is expected


def confirm_link(bucket: Bucket, token: str) -> Address:
    return confirm(bucket, address_of_link(bucket, token))


def test_a_link_confirms_once_for_its_tenant_alone(bucket: Bucket) -> None:
    token = new_link(bucket, "acme", EMAIL)
    assert not is_confirmed(bucket, "acme", NOBODY, "", EMAIL)
    assert confirm_link(bucket, token).email == EMAIL
    assert is_confirmed(bucket, "acme", NOBODY, "", EMAIL.lower())
    assert not is_confirmed(bucket, "borealis", NOBODY, "", EMAIL)
    assert not is_confirmed(bucket, "acme", NOBODY, "", "pilot2@example.com")
    with pytest.raises(InvalidLink):
        confirm_link(bucket, token)
    assert is_confirmed(bucket, "acme", NOBODY, "", EMAIL)


def test_only_the_hash_of_a_link_is_kept(bucket: Bucket) -> None:
    token = new_link(bucket, "acme", EMAIL)
    secret = token.rsplit(".", 1)[1]
    raw = bucket.read_small(address_key("acme", hashlib.sha256(EMAIL.lower().encode()).hexdigest()), 4096) or b""
    assert secret.encode() not in raw
    assert hashlib.sha256(secret.encode()).hexdigest().encode() in raw
    assert len(secret) == 43, "256 bits"


def test_a_link_ends_after_a_week(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    token = new_link(bucket, "acme", EMAIL)
    later = now() + timedelta(days=7)
    monkeypatch.setattr(addresses, "now", lambda: later - timedelta(minutes=1))
    assert address_of_link(bucket, token).email == EMAIL
    monkeypatch.setattr(addresses, "now", lambda: later)
    with pytest.raises(InvalidLink):
        confirm_link(bucket, token)
    address = read_address(bucket, "acme", EMAIL)
    assert address and not address.is_pending(later)


def test_a_newer_link_ends_the_older(bucket: Bucket) -> None:
    older, newer = new_link(bucket, "acme", EMAIL), new_link(bucket, "acme", EMAIL)
    with pytest.raises(InvalidLink):
        confirm_link(bucket, older)
    confirm_link(bucket, newer)


def test_a_link_that_was_not_sent_confirms_nothing_and_holds_up_no_other(bucket: Bucket) -> None:
    token = new_link(bucket, "acme", EMAIL)
    forget_link(bucket, "acme", EMAIL)
    with pytest.raises(InvalidLink):
        confirm_link(bucket, token)
    address = read_address(bucket, "acme", EMAIL)
    assert address and not address.is_pending(now())


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token.replace("acme", "borealis"),
        lambda token: token.replace("acme", "../acme"),
        lambda token: token + ".x",
        lambda token: token + "x" * 1000,
        lambda token: token.upper(),
        lambda _: "",
        lambda _: "..",
        lambda _: "a.b.c",
    ],
)
def test_a_link_that_was_changed_confirms_nothing(bucket: Bucket, change: object) -> None:
    token = new_link(bucket, "acme", EMAIL)
    assert callable(change)
    with pytest.raises(InvalidLink):
        confirm_link(bucket, change(token))
    assert not is_confirmed(bucket, "acme", NOBODY, "", EMAIL)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"x" * 5000])
def test_what_cannot_be_read_is_not_confirmed(bucket: Bucket, raw: bytes) -> None:
    confirm_link(bucket, new_link(bucket, "acme", EMAIL))
    bucket.put_small(address_key("acme", hashlib.sha256(EMAIL.lower().encode()).hexdigest()), raw)
    assert not is_confirmed(bucket, "acme", NOBODY, "", EMAIL)
    assert list(list_addresses(bucket, "acme")) == []


def test_a_confirmation_that_was_copied_to_another_address_is_none(bucket: Bucket) -> None:
    confirm_link(bucket, new_link(bucket, "acme", EMAIL))
    raw = bucket.read_small(address_key("acme", hashlib.sha256(EMAIL.lower().encode()).hexdigest()), 4096) or b""
    bucket.put_small(address_key("acme", hashlib.sha256(b"b@example.com").hexdigest()), raw)
    bucket.put_small(address_key("borealis", hashlib.sha256(EMAIL.lower().encode()).hexdigest()), raw)
    assert not is_confirmed(bucket, "acme", NOBODY, "", "b@example.com")
    assert not is_confirmed(bucket, "borealis", NOBODY, "", EMAIL)


def test_the_addresses_of_a_tenant_are_listed(bucket: Bucket) -> None:
    new_link(bucket, "acme", "a@example.com")
    confirm_link(bucket, new_link(bucket, "acme", "b@example.com"))
    new_link(bucket, "borealis", "c@example.com")
    states = {address.email: address.confirmed_at is not None for address in list_addresses(bucket, "acme")}
    assert states == {"a@example.com": False, "b@example.com": True}

"""To which addresses a tenant may have mails sent: those that were confirmed.

Confirmed is an address that the operator lists for the tenant, or whose domain is listed for it or allowed to all; and
one whose reader has followed a link in a mail, once. That mail is all that a stranger can ever be sent: it holds no
word of whoever asked for it, and goes to one address of a tenant once a week at most. A person's own address, which the
user pool has verified, is confirmed for the jobs that he begins, and for no other's.

The truth is `tenants/NAME/addresses/SHA256.json` in the pipeline bucket, so it outlives the table. The token of a link
names that object, and holds 256 random bits of which the object has only the hash. Own addresses are in `own/` there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from spaceport.pipeline import layout
from spaceport.pipeline.contract import SCHEMA_VERSION, TenantName, now
from spaceport.pipeline.storage import Bucket
from spaceport.pipeline.tenants import KeyId, Tenant

VALID: Final = timedelta(days=7)
"""How long a link confirms; and until then no other mail goes to the address."""
ANY_DOMAIN: Final = "*"
MAX_BYTES: Final = 4 << 10
MAX_LISTED: Final = 200
SECRET_BYTES: Final = 32

_DIGEST: Final = r"[0-9a-f]{64}"
_TENANT: Final[TypeAdapter[str]] = TypeAdapter(TenantName)
_SHA256: Final[TypeAdapter[str]] = TypeAdapter(Annotated[str, Field(pattern=f"^{_DIGEST}$")])


class Address(BaseModel):
    """An address of a tenant that was sent a link."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    tenant: TenantName
    email: Annotated[str, Field(max_length=254)]
    mailed_at: datetime | None
    """When its link was sent; None if that failed."""
    token_sha256: Annotated[str, Field(pattern=f"^{_DIGEST}$")] | None
    """None once it was used."""
    confirmed_at: datetime | None = None

    def is_pending(self, at: datetime) -> bool:
        """Whether its link still works."""
        return self.confirmed_at is None and self.mailed_at is not None and at < self.mailed_at + VALID


class OwnAddress(BaseModel):
    """The address of a person, which the user pool had verified when he began a job."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    tenant: TenantName
    email: Annotated[str, Field(max_length=254)]
    owner: KeyId
    verified_at: datetime


Kept = TypeVar("Kept", Address, OwnAddress)


class InvalidLink(Exception):
    """A link that confirms nothing: it is mistyped, too old, or was used. Which of these is nobody's business."""


def is_listed(tenant: Tenant, domains: str, email: str) -> bool:
    """Whether an address needs no confirmation.

    Args:
        domains: those that the operator allows to every tenant, separated by commas; `*` for any.
    """
    _, at, name = email.lower().rpartition("@")
    domain = at + name
    allowed = {f"@{each.strip().lower()}" for each in domains.split(",") if each.strip()}
    listed = {entry.lower() for entry in tenant.mail}
    return bool(at) and (f"@{ANY_DOMAIN}" in allowed or domain in allowed | listed or email.lower() in listed)


def is_confirmed(bucket: Bucket, name: str, tenant: Tenant, domains: str, email: str, owner: str | None = None) -> bool:
    """Whether mails of the tenant `name` about jobs of `owner` may go to an address."""
    if is_listed(tenant, domains, email):
        return True
    address = read_address(bucket, name, email)
    if address is not None and address.confirmed_at is not None:
        return True
    return owner is not None and _read_own(bucket, name, email, owner) is not None


def keep_own_address(bucket: Bucket, tenant: str, email: str, owner: str) -> None:
    """Record that a person's own address was verified: mails about the jobs that he begins may go there."""
    own = OwnAddress(tenant=tenant, email=email, owner=owner, verified_at=now())
    key = layout.own_address_key(tenant, _digest(email), _digest(owner))
    bucket.put_small(key, own.model_dump_json(indent=1).encode())


def _read_own(bucket: Bucket, tenant: str, email: str, owner: str) -> OwnAddress | None:
    """None too when it is unreadable, or another's."""
    own = _read(bucket, layout.own_address_key(tenant, _digest(email), _digest(owner)), OwnAddress)
    is_its = own and (own.tenant, own.email.lower(), own.owner) == (tenant, email.lower(), owner)
    return own if is_its else None


def read_address(bucket: Bucket, tenant: str, email: str) -> Address | None:
    """What is known of an address; None too when it is unreadable, or another's: then it has to be confirmed again."""
    address = _read(bucket, layout.address_key(tenant, _digest(email)), Address)
    return address if address and (address.tenant, _digest(address.email)) == (tenant, _digest(email)) else None


def list_addresses(bucket: Bucket, tenant: str) -> Iterator[Address]:
    """The addresses of a tenant that were sent a link, at most `MAX_LISTED`."""
    for number, item in enumerate(bucket.list_objects(layout.addresses_prefix(tenant))):
        if number == MAX_LISTED or item.key.startswith(layout.addresses_prefix(tenant) + layout.OWN):  # the last
            return
        address = _read(bucket, item.key, Address)
        if address:
            yield address


def erase_address(bucket: Bucket, email: str) -> int:
    """Remove what is kept of an address for any tenant, in every version: no mail goes there any more unless the
    operator lists it. Returns how many objects there were."""
    digest, erased = _digest(email), 0
    for tenant in bucket.list_folders(layout.TENANT_FILES):
        erased += bucket.erase(layout.address_key(tenant, digest))
        erased += bucket.erase(layout.own_addresses_prefix(tenant, digest))
    return erased


def new_link(bucket: Bucket, tenant: str, email: str) -> str:
    """Record that a link is being sent to an address, and return its token: `TENANT.SHA256.SECRET`."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    address = Address(tenant=tenant, email=email, mailed_at=now(), token_sha256=_digest_of_secret(secret))
    _write(bucket, address)
    return f"{tenant}.{_digest(email)}.{secret}"


def forget_link(bucket: Bucket, tenant: str, email: str) -> None:
    """The mail with the link could not be sent: another may be."""
    _write(bucket, Address(tenant=tenant, email=email, mailed_at=None, token_sha256=None))


def address_of_link(bucket: Bucket, token: str) -> Address:
    """The address that a link would confirm. Raises `InvalidLink`."""
    tenant, digest, secret = _split(token)
    address = _read(bucket, layout.address_key(tenant, digest), Address)
    if address is None or address.tenant != tenant or not address.token_sha256 or not address.is_pending(now()):
        raise InvalidLink
    if not hmac.compare_digest(address.token_sha256, _digest_of_secret(secret)):
        raise InvalidLink
    return address


def confirm(bucket: Bucket, address: Address) -> Address:
    """Confirm the address of a link, which then works no more."""
    confirmed = address.model_copy(update={"confirmed_at": now(), "token_sha256": None})
    _write(bucket, confirmed)
    return confirmed


def _split(token: str) -> tuple[str, str, str]:
    parts = token.split(".")
    if len(parts) != 3 or len(parts[2]) > 2 * SECRET_BYTES:
        raise InvalidLink
    try:
        return _TENANT.validate_python(parts[0]), _SHA256.validate_python(parts[1]), parts[2]
    except ValidationError:
        raise InvalidLink from None


def _read(bucket: Bucket, key: str, model: type[Kept]) -> Kept | None:
    try:
        raw = bucket.read_small(key, MAX_BYTES)
        return None if raw is None else model.model_validate_json(raw)
    except ValueError:  # a ValidationError is one too
        return None


def _write(bucket: Bucket, address: Address) -> None:
    key = layout.address_key(address.tenant, _digest(address.email))
    bucket.put_small(key, address.model_dump_json(indent=1).encode())


def _digest(email: str) -> str:
    return hashlib.sha256(email.lower().encode()).hexdigest()


def _digest_of_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

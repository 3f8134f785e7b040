"""Tenants: teams that share a deployment, and neither see nor touch anything of each other.

The operator names them in `tenants.json` in the pipeline bucket. Who is in none of them, and everyone where there is no
such file, is in the tenant `default`. A tenant is known by the API key of a call or by who has signed in, by the folder
of an upload (`uploads/TENANT/…`), and afterwards by the request in each manifest of a job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spaceport.pipeline.contract import DEFAULT_TENANT, SCHEMA_VERSION, TenantName
from spaceport.pipeline.layout import TENANTS, UPLOADS
from spaceport.pipeline.storage import Bucket

MAX_BYTES = 1 << 20

USER, GROUP = "user:", "group:"
"""Before the id of a person of the user pool (`sub`) and the name of a group of it. No id of an API key begins so."""

KeyId = Annotated[str, Field(min_length=1, max_length=254)]
"""Of an API key, of a person, or of a group of persons: whatever a call can be made with."""


class UnreadableTenants(ValueError):
    """`tenants.json` cannot be used. `str` says why: nobody is let in until it is corrected."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)  # a mistyped limit must not be no limit


class Limits(_Model):
    """What a tenant may use. The highest figures are what a row of DynamoDB can count."""

    open_jobs: Annotated[int, Field(ge=0, le=5000)] = 100
    """At once."""
    usd_per_day: Annotated[float, Field(ge=0, le=1e6)] = 200.0
    """As estimated when jobs begin, in dollars. Days are UTC's."""
    gigabytes_per_day: Annotated[float, Field(ge=0, le=1e6)] = 2000.0
    """Of uploads, in 1e9 bytes."""
    mails_per_day: Annotated[int, Field(ge=0, le=20_000)] = 500


class Tenant(_Model):
    """One tenant, as the operator declares it."""

    keys: frozenset[KeyId] = frozenset()
    """Of its people: ids of API keys, `user:SUB`, `group:NAME`."""
    admin_keys: frozenset[KeyId] = frozenset()
    """Those that may stop, continue and share every job of the tenant, not only their own."""
    mail: frozenset[Annotated[str, Field(min_length=3, max_length=254)]] = frozenset()
    """Addresses (`a@firm.example`) and domains (`@firm.example`) that need no confirmation."""
    limits: Limits = Limits()


@dataclass(frozen=True)
class Caller:
    """Who makes a call of the API."""

    key: str
    """The id of the API key, not a secret; or `user:SUB` of a person who has signed in."""
    tenant: str
    is_admin: bool
    email: str | None = None
    """Of a person: the own address, if the user pool has verified it."""

    @property
    def sees_all(self) -> bool:
        """Whether it sees all jobs of its tenant. A person sees only its own, unless it is an admin."""
        return self.is_admin or not self.key.startswith(USER)


class Tenants(_Model):
    """The document `tenants.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    tenants: dict[TenantName, Tenant] = {}

    @model_validator(mode="after")
    def _key_of_one_tenant(self) -> Self:
        keys = [key for tenant in self.tenants.values() for key in tenant.keys | tenant.admin_keys]
        if len(keys) != len(set(keys)):
            raise ValueError("an API key belongs to one tenant only")
        return self

    def of(self, name: str) -> Tenant:
        """What was declared of a tenant; nothing of one that is not declared any more."""
        return self.tenants.get(name) or Tenant()

    def caller(self, key: str, *groups: str) -> Caller:
        """Whose API key it is, or a person's who is in these groups: of the first tenant that names any of them."""
        ids = {key, *groups}
        for name, tenant in self.tenants.items():
            if ids & (tenant.keys | tenant.admin_keys):
                return Caller(key, name, bool(ids & tenant.admin_keys))
        return Caller(key, DEFAULT_TENANT, is_admin=False)

    def of_upload(self, key: str) -> str:
        """Whose upload a key of the uploads bucket is: that of a declared tenant by its folder, or the default's."""
        folder, slash, _ = key.removeprefix(UPLOADS).partition("/")
        return folder if slash and folder in self.tenants else DEFAULT_TENANT

    def uploads_prefix(self, name: str) -> str:
        """Below which a tenant's uploads are."""
        return UPLOADS if name == DEFAULT_TENANT and name not in self.tenants else f"{UPLOADS}{name}/"


def read_tenants(bucket: Bucket) -> Tenants:
    """The tenants of a deployment; of one without `tenants.json` none but the default.

    Raises:
        UnreadableTenants: the file is not what it should be.
    """
    try:
        raw = bucket.read_small(TENANTS, MAX_BYTES)
        return Tenants() if raw is None else Tenants.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise UnreadableTenants(f"{TENANTS} cannot be used: {where}: {first['msg']}") from None
    except ValueError as error:
        raise UnreadableTenants(str(error)) from None

"""How to reach the embedded cloud: endpoints, dummy credentials, clients."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.request import Request

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "000000000000"
SECRET_HEADER: Final = "x-spaceport-secret"  # noqa: S105  a name
"""Of requests of ministack's own addresses."""
REGIONS_AND_FILES: Final = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Access:
    """Where an embedded cloud listens, and the secret that it was started with."""

    endpoint: str
    batch_endpoint: str
    secret: str = field(repr=False)
    access_key: str = ACCOUNT
    """The owner's, or a role's name. ministack takes a key of 12 digits for an account."""

    @property
    def credentials(self) -> dict[str, str]:
        """The environment variables of its pair of keys."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def as_role(self, role: str) -> Access:
        """The access of a role of this cloud: it may do what the role's policies allow."""
        return replace(self, access_key=role, secret=role_secret(self.secret, role))

    def environment(self) -> dict[str, str]:
        """The environment in which boto3 reaches this cloud, and no other.

        The user's configuration files are masked, so that no real account can be reached by mistake.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_BATCH": self.batch_endpoint,
            **self.credentials,
            **REGIONS_AND_FILES,
        }

    @cached_property
    def session(self) -> Session:
        """A boto3 session with this cloud's credentials. Its clients need an endpoint: prefer `client`."""
        from boto3.session import Session  # noqa: PLC0415  a quarter of a second that `spaceport --help` does without

        return Session(aws_access_key_id=self.access_key, aws_secret_access_key=self.secret, region_name=REGION)

    def client(self, service: str, config: Config | None = None) -> Any:
        """A boto3 client for `service` of this cloud; the caller declares its type."""
        endpoint = self.batch_endpoint if service == "batch" else self.endpoint
        return self.session.client(service, endpoint_url=endpoint, config=config)  # type: ignore[call-overload]  # any

    def ministack_request(self, path: str) -> Request:
        """A request of one of ministack's own addresses, `/_ministack/…`, with the secret."""
        return Request(f"{self.endpoint}{path}", headers={SECRET_HEADER: self.secret})  # noqa: S310  http, loopback


def new_secret() -> str:
    """A secret for one start of a cloud."""
    return secrets.token_urlsafe(32)


def role_secret(secret: str, role: str) -> str:
    """The secret access key of a role, which says nothing about the owner's."""
    return hmac.new(secret.encode(), f"role {role}".encode(), hashlib.sha256).hexdigest()

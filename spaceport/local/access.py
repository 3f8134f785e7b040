"""How to reach the embedded cloud: endpoints, dummy credentials, clients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3.session import Session

REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Access:
    """Where an embedded cloud listens."""

    endpoint: str
    batch_endpoint: str

    def environment(self) -> dict[str, str]:
        """The environment in which boto3 reaches this cloud, and no other.

        The user's configuration files are masked, so that no real account can be reached by mistake.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_BATCH": self.batch_endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @cached_property
    def session(self) -> Session:
        """A boto3 session with this cloud's credentials. Its clients need an endpoint: prefer `client`."""
        from boto3.session import Session  # noqa: PLC0415  a quarter of a second that `spaceport --help` does without

        return Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION)  # noqa: S106

    def client(self, service: str) -> Any:
        """A boto3 client for `service` of this cloud; the caller declares its type."""
        endpoint = self.batch_endpoint if service == "batch" else self.endpoint
        return self.session.client(service, endpoint_url=endpoint)  # type: ignore[call-overload]  # any service name

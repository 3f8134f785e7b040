"""The page as a person opens it: a running cloud, its link, and all that the browser complains of."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, expect
from waiting import PATIENCE

from spaceport.cli.connect import deployment_of, new_link
from spaceport.local.cloud import EmbeddedCloud
from spaceport.web import is_built

expect.set_options(timeout=PATIENCE * 1000)
EXPECTED = (
    "Failed to load resource",  # an answer of 400 and above, which the page deals with
    "No available adapters.",  # no WebGPU: the engine takes WebGL
)


@dataclass
class Watched:
    """What the console, the CSP and the page's own scripts have said, and which addresses were asked for."""

    complaints: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, page: Page) -> Watched:
        watched = cls()
        page.on("console", lambda message: watched.hear(message.type, message.text))
        page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        page.on("request", lambda request: watched.addresses.append(request.url))
        return watched

    def hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(EXPECTED):
            self.complaints.append(text)


def link_of(cloud: EmbeddedCloud) -> str:
    """A new link as `spaceport up` prints it: it works once."""
    if not is_built():
        pytest.skip("needs the page: make web")
    return new_link(cloud.access, deployment_of(cloud.access).api_key_id)


def api_key_of(cloud: EmbeddedCloud) -> str:
    """The API key that such a link leads to."""
    gateway = cloud.access.client("apigateway")
    key: str = gateway.get_api_key(apiKey=deployment_of(cloud.access).api_key_id, includeValue=True)["value"]
    return key

"""The page as a person opens it: a running cloud, its link, and all that the browser complains of."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, expect
from waiting import PATIENCE

from spaceport.cli.connect import deployment_of, page_line
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
    """The link that `spaceport up` prints."""
    if not is_built():
        pytest.skip("needs the page: make web")
    return page_line(cloud.access, deployment_of(cloud.access).api_key_id).rpartition(" ")[2]

"""Signing in with a user pool, which a stand-in is here: its page, its tokens, and the API for people."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

from page_cases import Watched, link_of
from playwright.sync_api import Page, Route, expect
from waiting import until

from spaceport.local.cloud import EmbeddedCloud


class Pool:
    """Hands out codes and tokens, and refuses a token once when it is told that it has ended."""

    def __init__(self, page: Page, address: str) -> None:
        self.address, self.asked, self.grants, self.tokens = address, dict[str, list[str]](), list[str](), list[str]()
        self.has_ended = False
        users = {"api": f"{address}people", "domain": f"{address}pool", "client": "page"}
        config = {"api": f"{address}keys", "link_code": False, "users": users}
        page.route("**/config.json", lambda route: route.fulfill(json=config))
        page.route("**/pool/oauth2/authorize?*", self.authorize)
        page.route("**/pool/oauth2/token", self.token)
        page.route("**/pool/logout?*", lambda route: route.fulfill(content_type="text/html", body="<h1>Bye</h1>"))
        page.route("**/people/**", self.answer)

    def authorize(self, route: Route) -> None:
        self.asked = parse_qs(urlsplit(route.request.url).query)
        back = f"{self.asked['redirect_uri'][0]}?code=c0de&state={self.asked['state'][0]}"
        route.fulfill(content_type="text/html", body=f'<h1>Firm</h1><a href="{back}">I am Ann</a>')

    def token(self, route: Route) -> None:
        grant = parse_qs(route.request.post_data or "")
        self.grants.append(grant["grant_type"][0])
        claims = json.dumps({"nonce": self.asked["nonce"][0], "n": len(self.grants)}).encode()
        token = f"eyJhIjowfQ.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"
        route.fulfill(json={"id_token": token, "refresh_token": "again"})

    def answer(self, route: Route) -> None:
        self.tokens.append(route.request.headers.get("authorization", ""))
        assert "x-api-key" not in route.request.headers
        if self.has_ended:
            self.has_ended = False
            route.fulfill(status=401, json={"message": "The incoming token has expired"})
        else:
            route.fulfill(json={"jobs": []})


def test_a_person_signs_in_stays_so_when_the_token_ends_and_signs_out(page: Page, cloud: EmbeddedCloud) -> None:
    address = link_of(cloud).partition("#")[0]
    pool, watched = Pool(page, address), Watched.of(page)
    page.goto(address)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="I am Ann").click()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    assert page.url == address, "the code is gone from the address"
    assert pool.asked["code_challenge_method"] == ["S256"]
    pool.has_ended = True
    page.evaluate("dispatchEvent(new Event('online'))")  # asks at once

    def is_renewed() -> bool:  # from outside: the page's CSP stops Playwright's polling in it
        page.wait_for_timeout(20)  # its requests are answered only meanwhile
        return len(pool.grants) > 1 and bool(page.evaluate("sessionStorage.getItem('spaceport-key') !== null"))

    until(is_renewed, lambda: pool.grants)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    page.reload()
    expect(page.get_by_role("heading", name="Your jobs")).to_be_visible()
    assert pool.grants == ["authorization_code", "refresh_token"]
    assert len(set(pool.tokens)) == 2
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Bye")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    assert watched.complaints == []


def test_a_code_that_this_tab_has_not_asked_for_is_worth_nothing(page: Page, cloud: EmbeddedCloud) -> None:
    address = link_of(cloud).partition("#")[0]
    pool = Pool(page, address)
    page.goto(f"{address}?code=c0de&state=of-somebody-else")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert (page.url, pool.grants) == (address, [])

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { refreshed, signInAddress, signOutAddress, takeCode, type Place } from "../src/api/auth.ts";

const users = { api: "https://u.test/v1", domain: "https://firm.test", client: "page" };
const jwt = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;

function place(answer: () => Response | Promise<Response>, sent: URLSearchParams[] = []): Place & { kept: Map<string, string> } {
  const kept = new Map<string, string>();
  const fetcher = (async (url: string, init: RequestInit) => {
    assert.equal(url, "https://firm.test/oauth2/token");
    sent.push(init.body as URLSearchParams);
    return answer();
  }) as typeof fetch;
  const storage = { getItem: (name: string) => kept.get(name) ?? null, setItem: (name: string, value: string) => void kept.set(name, value), removeItem: (name: string) => void kept.delete(name) };
  return { page: "https://page.test/", storage, fetcher, kept };
}
const never = () => assert.fail("nothing is to be sent");

async function begun(at: Place) {
  return new URL(await signInAddress(users, at, "?job=a")).searchParams;
}

test("a code is exchanged with its verifier, once, and the page goes on where it was", async () => {
  const sent: URLSearchParams[] = [];
  let nonce = "";
  const at = place(() => Response.json({ id_token: jwt({ nonce }), refresh_token: "r" }), sent);
  const asked = await begun(at);
  nonce = asked.get("nonce") ?? "";
  const query = `?code=c&state=${asked.get("state")}`;
  assert.deepEqual(await takeCode(users, at, query), { token: jwt({ nonce }), search: "?job=a" });
  assert.equal(asked.get("code_challenge"), createHash("sha256").update(sent[0]?.get("code_verifier") ?? "").digest("base64url"));
  assert.equal(sent[0]?.get("redirect_uri"), asked.get("redirect_uri"));
  assert.equal(await takeCode(users, at, query), null);
  assert.equal(sent.length, 1);
});

test("a code that this tab has not asked for signs nobody in", async () => {
  const sent: URLSearchParams[] = [];
  const at = place(never, sent);
  assert.equal(await takeCode(users, at, "?code=c&state=s"), null);
  await begun(at);
  assert.equal(await takeCode(users, at, "?code=c&state=of-somebody-else"), null);
  assert.equal(at.kept.size, 0);
  assert.equal(sent.length, 0, "the code is worth nothing to the pool without its verifier, and is not tried");
});

test("a token of another sign-in is refused", async () => {
  const at = place(() => Response.json({ id_token: jwt({ nonce: "of-somebody-else" }) }));
  const asked = await begun(at);
  assert.equal(await takeCode(users, at, `?code=c&state=${asked.get("state")}`), null);
});

test("a token is renewed, until the pool refuses, and nothing is left after signing out", async () => {
  const answers = [Response.json({ id_token: "new" }), new Response("", { status: 400 })];
  const at = place(() => answers.shift() ?? assert.fail());
  assert.equal(await refreshed(users, place(never)), null);
  at.storage.setItem("spaceport-refresh", "r");
  assert.equal(await refreshed(users, at), "new");
  assert.equal(await refreshed(users, at), null);
  assert.match(signOutAddress(users, at), /^https:\/\/firm\.test\/logout\?client_id=page&logout_uri=https%3A%2F%2Fpage\.test%2F$/);
  assert.equal(at.kept.size, 0);
});

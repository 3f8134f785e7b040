/**
 * Signing in with the user pool of a deployment: Cognito's own pages, a code with PKCE, and tokens that end with the tab.
 * The identity token is what lets in, as a key does elsewhere.
 */

export interface Users {
  /** Their API, the address where they sign in, and the id of this page as an app of the pool. */
  api: string;
  domain: string;
  client: string;
}
interface Begun {
  state: string;
  nonce: string;
  verifier: string;
  /** What to show after it: the query of the page's address. */
  search: string;
}
/** What of the browser it needs, so that tests have another. */
export interface Place {
  /** The page's own address, as the pool knows it. */
  page: string;
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  fetcher: typeof fetch;
}

/** This page and this tab. */
export function ourPlace(): Place {
  return { page: new URL("./", location.href).href, storage: sessionStorage, fetcher: (...call) => fetch(...call) };
}

const BEGUN = "spaceport-sign-in";
const REFRESH = "spaceport-refresh";
const BYTES = 32;

const encoded = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => encoded(crypto.getRandomValues(new Uint8Array(BYTES)));

/** Whether what lets in is a token, and no key. */
export function isToken(key: string): boolean {
  return /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(key);
}

/** The address of the pool's page. What comes back is accepted only by this tab, and only once. */
export async function signInAddress(users: Users, place: Place, search: string): Promise<string> {
  const begun: Begun = { state: random(), nonce: random(), verifier: random(), search };
  place.storage.setItem(BEGUN, JSON.stringify(begun));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(begun.verifier));
  const query = new URLSearchParams({
    response_type: "code", client_id: users.client, redirect_uri: place.page, scope: "openid email", state: begun.state,
    nonce: begun.nonce, code_challenge: encoded(new Uint8Array(digest)), code_challenge_method: "S256",
  });
  return `${users.domain}/oauth2/authorize?${query}`;
}

/** The identity token for the code in the page's query, and what to show; null where none was asked for by this tab. */
export async function takeCode(users: Users, place: Place, query: string): Promise<{ token: string; search: string } | null> {
  const answer = new URLSearchParams(query);
  const stored = place.storage.getItem(BEGUN);
  if (!answer.has("state") || !stored) return null;
  place.storage.removeItem(BEGUN);
  const begun = JSON.parse(stored) as Begun;
  const code = answer.get("code");
  if (answer.get("state") !== begun.state || !code) return null;
  const token = await tokens(users, place, { grant_type: "authorization_code", code, redirect_uri: place.page, code_verifier: begun.verifier });
  if (token && claimsOf(token)["nonce"] === begun.nonce) return { token, search: begun.search };
  place.storage.removeItem(REFRESH);
  return null;
}

/** A new identity token, where the one before has ended; null where people must sign in again. */
export async function refreshed(users: Users, place: Place): Promise<string | null> {
  const token = place.storage.getItem(REFRESH);
  return token ? tokens(users, place, { grant_type: "refresh_token", refresh_token: token }) : null;
}

/** Forgets all, and returns the address at which the pool forgets it too: else the next sign-in would ask for nothing. */
export function signOutAddress(users: Users, place: Place): string {
  place.storage.removeItem(REFRESH);
  place.storage.removeItem(BEGUN);
  return `${users.domain}/logout?${new URLSearchParams({ client_id: users.client, logout_uri: place.page })}`;
}

async function tokens(users: Users, place: Place, grant: Record<string, string>): Promise<string | null> {
  try {
    const response = await place.fetcher(`${users.domain}/oauth2/token`, {
      method: "POST", body: new URLSearchParams({ client_id: users.client, ...grant }), cache: "no-store", referrerPolicy: "no-referrer",
    });
    if (!response.ok) return null;
    const { id_token, refresh_token } = (await response.json()) as { id_token?: string; refresh_token?: string };
    if (refresh_token) place.storage.setItem(REFRESH, refresh_token);
    return id_token ?? null;
  } catch {
    return null;
  }
}

/** What a token says. It came from the pool itself by TLS, and API Gateway verifies it at every call. */
function claimsOf(token: string): Record<string, unknown> {
  const body = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(atob(body)) as Record<string, unknown>;
}

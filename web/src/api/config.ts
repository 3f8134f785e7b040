/** Where the API is, and whose key the page has. */

import type { Users } from "./auth.ts";

export interface Config {
  api: string;
  /** Whether `#code=…` in the address signs in. Only where a page is started for one person: else a link could choose an account. */
  linkCode: boolean;
  /** Where people sign in, if they do. */
  users: Users | null;
}

const NAME = "spaceport-key";

/** Reads `config.json` beside the page, which the HTML has preloaded, and which comes with `no-cache`. Throws where there is none. */
export async function readConfig(): Promise<Config> {
  const response = await fetch("config.json");
  if (!response.ok) throw new Error(`config.json: ${response.status}`);
  const { api, link_code, users } = (await response.json()) as { api?: unknown; link_code?: unknown; users?: Users };
  if (typeof api !== "string") throw new Error("config.json names no API");
  return { api: new URL(api, location.href).href.replace(/\/$/, ""), linkCode: link_code === true, users: users ?? null };
}

/** The code in the address, which then loses it: it works once, and no screenshot has it. Null where there is none. */
export function takeLinkCode(config: Config): string | null {
  const match = /^#code=([\w-]{1,200})$/.exec(location.hash);
  if (!match) return null;
  history.replaceState(history.state, "", location.pathname + location.search);
  return config.linkCode ? (match[1] ?? null) : null;
}

/** The key for a link's code, from the cloud that made the link; null where it was used, is too old, or nothing answers. */
export async function exchangeCode(code: string, fetcher: typeof fetch = (...call) => fetch(...call)): Promise<string | null> {
  try {
    const response = await fetcher("sign-in", {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ code }), cache: "no-store", referrerPolicy: "no-referrer",
    });
    const { key } = response.ok ? ((await response.json()) as { key?: unknown }) : {};
    return typeof key === "string" && key ? key : null;
  } catch {
    return null;
  }
}

export function storedKey(): string | null {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

/** Keep a key until the tab is closed, or on this device until `forgetKey`. */
export function storeKey(key: string, isRemembered: boolean): void {
  forgetKey();
  (isRemembered ? localStorage : sessionStorage).setItem(NAME, key);
}

export function forgetKey(): void {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}

/** Where the API is, and whose key the page has. */

import type { Users } from "./auth.ts";

export interface Config {
  api: string;
  /** Whether `#key=…` in the address signs in. Only where a page is started for one person: else a link could choose an account. */
  linkKey: boolean;
  /** Where people sign in, if they do. */
  users: Users | null;
}

const NAME = "spaceport-key";

/** Reads `config.json` beside the page. Throws where there is none. */
export async function readConfig(): Promise<Config> {
  const response = await fetch("config.json", { cache: "no-cache" });
  if (!response.ok) throw new Error(`config.json: ${response.status}`);
  const { api, link_key, users } = (await response.json()) as { api?: unknown; link_key?: unknown; users?: Users };
  if (typeof api !== "string") throw new Error("config.json names no API");
  return { api: new URL(api, location.href).href.replace(/\/$/, ""), linkKey: link_key === true, users: users ?? null };
}

/** The key in the address, which then loses it: going back does not lead to it, and no screenshot has it. Null where there is none. */
export function takeKeyOfAddress(config: Config): string | null {
  const match = /^#key=([^&]*)$/.exec(location.hash);
  if (!match) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return config.linkKey ? decodeURIComponent(match[1] ?? "") || null : null;
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

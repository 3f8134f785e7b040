/** How the page is let in: by a key, by a link that works once, or as a person of a user pool. */

import { isToken, ourPlace, refreshed, signInAddress, signOutAddress } from "./api/auth.ts";
import { Client } from "./api/client.ts";
import { exchangeCode, forgetKey, storeKey, takeLinkCode, type Config } from "./api/config.ts";
import type { AppState } from "./app.ts";
import type { Store } from "./store.ts";

/** What the page does when it may, may not for now, and has been left. */
interface Page {
  begin(): void;
  pause(): void;
  leave(): void;
}

/** A token that is refused sooner after it was renewed is not renewed again. */
const RENEWAL_MS = 60_000;

export class Access {
  #renewedAt = 0;

  constructor(private readonly config: Config, private readonly store: Store<AppState>, private readonly page: Page) {}

  signIn(key: string, isRemembered: boolean): void {
    storeKey(key, isRemembered);
    this.store.set({ client: clientOf(this.config, key), keyTrouble: null });
    this.page.begin();
  }

  /** Sign in by a link that was opened in this tab: the page is there already, and only what is behind `#` has changed. */
  async followLink(): Promise<void> {
    const code = takeLinkCode(this.config);
    const key = code === null ? null : await exchangeCode(code);
    if (key) this.signIn(key, false);
    else if (code !== null) this.refuseLink();
  }

  refuseLink(): void {
    if (this.store.state.keyTrouble) this.store.set({ keyTrouble: "used" });
  }

  /** Whether a command on this machine prints links that sign in. */
  get hasLinks(): boolean {
    return this.config.linkCode;
  }

  /** Go to where people sign in, which leads back to this page. */
  async goToSignIn(): Promise<void> {
    if (this.config.users) location.assign(await signInAddress(this.config.users, ourPlace(), location.search));
  }

  get hasUsers(): boolean {
    return this.config.users !== null;
  }

  signOut(): void {
    const { users } = this.config;
    const isPerson = this.#isPerson();
    forgetKey();
    if (users && isPerson) return location.assign(signOutAddress(users, ourPlace()));
    this.store.set({ client: null, keyTrouble: "missing", listed: null, answer: null });
    this.page.leave();
  }

  /** The API does not accept the key any more. */
  refuse(): void {
    forgetKey();
    const isPerson = this.#isPerson();
    this.store.set({ client: null, keyTrouble: "refused" });
    this.page.pause();
    if (isPerson) void this.#renew();
  }

  #isPerson(): boolean {
    return isToken(this.store.state.client?.key ?? "");
  }

  /** A token ends after an hour; the pool gives another one, and nobody is asked. */
  async #renew(): Promise<void> {
    const { users } = this.config;
    if (!users || Date.now() - this.#renewedAt < RENEWAL_MS) return;
    this.#renewedAt = Date.now();
    const token = await refreshed(users, ourPlace());
    if (token) this.signIn(token, false);
  }
}

/** People who have signed in have an API of their own. */
export function clientOf(config: Config, key: string): Client {
  return new Client(config.users && isToken(key) ? config.users.api : config.api, key);
}

/** What `share.html` and `embed.html` know: one job, as long as the link in the address works. */

import { ApiError, Client, Offline } from "./api/client.ts";
import type { Config } from "./api/config.ts";
import { Poll } from "./api/poll.ts";
import { renewal, tokenOf, type SharedAnswer } from "./api/shared.ts";
import { Store } from "./store.ts";

export interface ShareState {
  client: Client | null;
  answer: SharedAnswer | null;
  /** The link opens nothing: it is wrong, has ended or was withdrawn; which of these is not said. */
  isInvalid: boolean;
  isOffline: boolean;
  /** Why there is no answer, in the server's words. */
  trouble: string | null;
}

const EMPTY: ShareState = { client: null, answer: null, isInvalid: false, isOffline: false, trouble: null };
const BASE_MS = 60_000;

export class SharePage {
  readonly store = new Store<ShareState>(EMPTY);
  #poll: Poll | null = null;

  /** @param before does what need not wait for the answer */
  constructor(private readonly config: Config, private readonly before: (client: Client) => void = () => undefined) {}

  start(): void {
    addEventListener("hashchange", () => this.#open());
    addEventListener("online", () => void this.#poll?.now());
    document.addEventListener("visibilitychange", () => void this.#poll?.now());
    this.#open();
  }

  #open(): void {
    this.#poll?.stop();
    const token = tokenOf(location.hash);
    const client = token === null ? null : Client.ofShare(this.config.api, token);
    this.store.set({ ...EMPTY, client, isInvalid: client === null });
    if (!client) return;
    this.before(client);
    this.#poll = new Poll(() => this.#ask(client), BASE_MS);
    void this.#poll.now();
  }

  /** Returns the milliseconds until the next question; null when the link has ended. */
  async #ask(client: Client): Promise<number | null> {
    const show = (change: Partial<ShareState>) => {
      if (client === this.store.state.client) this.store.set(change);
    };
    try {
      const answer = await client.get<SharedAnswer>("/shared");
      show({ answer, isOffline: false, trouble: null });
      return renewal(answer, Date.now());
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        show({ answer: null, isInvalid: true, isOffline: false });
        return null;
      }
      show(error instanceof Offline ? { isOffline: true } : { trouble: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }
}

/** One download that has begun before anybody wanted it; the next one ends it. */
export class Downloads {
  #begun: { address: string; bytes: Promise<Response>; abort: () => void } | null = null;

  constructor(private readonly fetcher: typeof fetch = (...call) => fetch(...call)) {}

  begin(address: string): void {
    this.#begun?.abort();
    const controller = new AbortController();
    const bytes = this.#fetch(address, controller.signal);
    bytes.catch(() => undefined); // whoever takes it is told
    this.#begun = { address, bytes, abort: () => controller.abort() };
  }

  /** What is at an address, under way or from now on. Rejects where that cannot be had. */
  take(address: string): Promise<Response> {
    const begun = this.#begun;
    if (begun?.address !== address) return this.#fetch(address);
    this.#begun = null;
    return begun.bytes;
  }

  async #fetch(address: string, signal: AbortSignal | null = null): Promise<Response> {
    const response = await this.fetcher(address, { referrerPolicy: "no-referrer", signal });
    if (!response.ok) throw new Error(`${response.status}`);
    return response;
  }
}

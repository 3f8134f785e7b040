/** Calls of the API. A refusal is an `ApiError` with the server's sentence; no answer at all is `Offline`. */

import { isToken } from "./auth.ts";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly slug: string,
    sentence: string,
    /** Seconds after which the server wants to be asked again. */
    readonly retryAfter: number | null = null,
  ) {
    super(sentence);
  }

  /** Whether the key is not accepted, which the gateway says without a slug; the API itself refuses single jobs. */
  get isKeyRefused(): boolean {
    return (this.status === 401 || this.status === 403) && this.slug === "";
  }

  /** Whether the same call may succeed a little later. */
  get isPassing(): boolean {
    return this.status === 429 || this.status >= 500;
  }
}

export class Offline extends Error {}

interface Cached {
  etag: string;
  body: unknown;
}

const MAX_CACHED = 50;
const TIMEOUT_MS = 60_000;

export class Client {
  readonly #cache = new Map<string, Cached>();
  readonly #ahead = new Map<string, Promise<unknown>>();

  /**
   * @param base address of the API, without a slash at its end
   * @param key an API key, or the token of whoever has signed in; null sends none
   * @param credentials the headers that let in; the key's, if no others are handed over
   */
  constructor(
    readonly base: string,
    readonly key: string | null,
    private readonly fetcher: typeof fetch = (...call) => fetch(...call),
    private readonly credentials: Readonly<Record<string, string>> = key === null ? {} : isToken(key) ? { authorization: key } : { "x-api-key": key },
  ) {}

  /** For `/shared` and what is below it: whoever has a link has no key. */
  static ofShare(base: string, token: string, fetcher?: typeof fetch): Client {
    return new Client(base, null, fetcher, { "x-share-token": token });
  }

  /** Ask already now for what will be wanted in a moment: the next `get` of it has this answer, unless it is a refusal. */
  ahead<T>(path: string): Promise<T> {
    const answer = this.get<T>(path);
    this.#ahead.set(path, answer);
    answer.catch(() => this.#ahead.delete(path));
    return answer;
  }

  /** What is there, from memory where its ETag has not changed. */
  async get<T>(path: string): Promise<T> {
    const ahead = this.#ahead.get(path);
    if (this.#ahead.delete(path)) return ahead as Promise<T>;
    const cached = this.#cache.get(path);
    const response = await this.#send("GET", path, cached ? { "if-none-match": cached.etag } : {});
    if (response.status === 304 && cached) return cached.body as T;
    const body = await parsed(response);
    const etag = response.headers.get("etag");
    this.#cache.delete(path);
    if (etag) this.#cache.set(path, { etag, body });
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= MAX_CACHED) break;
      this.#cache.delete(oldest);
    }
    return body as T;
  }

  async post<T>(path: string, body: unknown = {}): Promise<T> {
    return (await parsed(await this.#send("POST", path, { "content-type": "application/json" }, JSON.stringify(body)))) as T;
  }

  async delete<T>(path: string): Promise<T> {
    return (await parsed(await this.#send("DELETE", path, {}))) as T;
  }

  async #send(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Response> {
    const request: RequestInit = {
      method,
      headers: { ...headers, ...this.credentials },
      cache: "no-store", // the ETag is kept here
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    };
    if (body !== undefined) request.body = body;
    try {
      return await this.fetcher(this.base + path, request);
    } catch {
      throw new Offline(path);
    }
  }
}

async function parsed(response: Response): Promise<unknown> {
  const text = await response.text().catch(() => {
    throw new Offline(response.url);
  });
  let body: unknown = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    if (response.ok) throw new ApiError(response.status, "no_json", "The answer of the server cannot be read.");
  }
  if (response.ok) return body;
  const { slug, sentence } = (typeof body === "object" && body !== null ? body : {}) as { slug?: string; sentence?: string };
  const after = Number(response.headers.get("retry-after") ?? NaN);
  throw new ApiError(
    response.status,
    slug ?? "",
    sentence ?? `The server answered ${response.status}.`,
    Number.isFinite(after) ? after : null,
  );
}

/** The addresses of a model's files: each is signed for an hour, and signed again before that is over. */

export interface ModelAnswer {
  format: "lod" | "sog";
  /** By names relative to the folder of the model. */
  files: Record<string, string>;
  bytes: Record<string, number>;
  viewer: unknown;
  poster: string | null;
  flight: string | null;
  expires_at: string;
}

export const LOD_META = "lod-meta.json";
const SHARE_OF_TIME = 0.8;
const LEAST_SECONDS = 30;

/** What the engine asks for by names relative to `lod-meta.json`, at the addresses that work. */
export class SignedFiles {
  #files: Record<string, string>;
  readonly #folder: string;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** @param renew asks the API again; what it throws is tried again later */
  constructor(answer: ModelAnswer, private readonly renew: () => Promise<ModelAnswer>, private readonly now = Date.now) {
    this.#files = answer.files;
    this.#folder = folderOf(answer.files[LOD_META] ?? "");
    this.#plan(answer.expires_at);
  }

  /** The name of the file at an address, signed or not; null where it is none of the model's. */
  nameOf(address: string): string | null {
    const { href, path } = split(address);
    if (!this.#folder || !href.startsWith(this.#folder)) return null;
    const name = decodeURIComponent(path.slice(split(this.#folder).path.length));
    return Object.hasOwn(this.#files, name) ? name : null;
  }

  urlOf(name: string): string | null {
    return Object.hasOwn(this.#files, name) ? (this.#files[name] as string) : null;
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #plan(expiresAt: string): void {
    const left = (Date.parse(expiresAt) - this.now()) / 1000;
    const seconds = Math.max(LEAST_SECONDS, Number.isFinite(left) ? SHARE_OF_TIME * left : 0);
    this.#timer = setTimeout(() => void this.#renew(), Math.min(seconds, 86_400) * 1000);
  }

  async #renew(): Promise<void> {
    let expiresAt = ""; // which is soon
    try {
      const answer = await this.renew();
      this.#files = answer.files;
      expiresAt = answer.expires_at;
    } catch {
      // the old ones work for a while still
    }
    if (this.#timer) this.#plan(expiresAt);
  }
}

function folderOf(address: string): string {
  const { href } = split(address);
  return href.slice(0, href.lastIndexOf("/") + 1);
}

/** An address without its signature, and its path; both empty where it is none. */
function split(address: string): { href: string; path: string } {
  try {
    const { origin, pathname } = new URL(address);
    return { href: origin + pathname, path: pathname };
  } catch {
    return { href: "", path: "" };
  }
}

/** What the viewer needs, fetched before it is on the page. */
import type { Client } from "../api/client.ts";
import { Downloads } from "./downloads.ts";
import type { ModelAnswer } from "./signing.ts";

/** Of the API: where the model of a job is. */
export const modelPath = (id: string) => `/jobs/${encodeURIComponent(id)}/model`;

const PHONE = "(pointer: coarse) and (max-width: 899px)";
/** About a million Gaussians. */
const PHONE_BYTES = 12_000_000;

export const isPhone = () => matchMedia(PHONE).matches;

let isPrepared = false;

/**
 * The engine: more than half a megabyte, kept by the browser for good. The search for a GPU that it begins with takes a
 * browser up to a second the first time, of another process.
 */
export function fetchEngine(): void {
  if (!isPrepared) (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu?.requestAdapter().catch(() => undefined);
  isPrepared = true;
  import("./open.ts").catch(() => undefined); // whoever needs it tries again, and tells
}

/** The engine, and the model, which `<splat-view>` asks for by the same path. */
export function fetchModel(client: Client, path: string): void {
  fetchEngine();
  client.ahead<ModelAnswer>(path).then((answer) => {
    const { address, isLarge } = sogOf(answer);
    if (address && !isLarge) downloads.begin(address);
  }, () => undefined); // whoever needs it asks again, and tells
}

/** Where the model is, if it is one file; and whether it is too large for this device to show without being asked. */
export function sogOf({ format, files, bytes }: ModelAnswer): { address: string | null; size: number; isLarge: boolean } {
  const size = bytes["model.sog"] ?? 0;
  return { address: format === "sog" ? (files["model.sog"] ?? null) : null, size, isLarge: size > PHONE_BYTES && isPhone() };
}

export const downloads = new Downloads();

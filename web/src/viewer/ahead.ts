/** What the viewer needs, fetched before it is on the page. */
import type { Client } from "../api/client.ts";

/** Of the API: where the model of a job is. */
export const modelPath = (id: string) => `/jobs/${encodeURIComponent(id)}/model`;

/** The engine: more than half a megabyte, kept by the browser for good. */
export function fetchEngine(): void {
  import("./open.ts").catch(() => undefined); // whoever needs it tries again, and tells
}

/** The engine, and the addresses of the model, which `<splat-view>` asks for by the same path. */
export function fetchModel(client: Client, path: string): void {
  fetchEngine();
  client.ahead(path);
}

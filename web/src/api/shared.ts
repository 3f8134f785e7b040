/** What the holder of a link sees: the token in the address, and the answer of `GET /shared`. */

import type { ReportSource } from "../parts/report/types.ts";
import { END_STATES, type FileLink, type Figure, type State } from "./types.ts";

export type Scope = "look" | "report" | "download";

export interface SharedAnswer {
  job: { name: string; created_at: string; state: State; counts: Record<string, Figure> };
  may: Scope;
  expires_at: string;
  model: boolean;
  pictures: FileLink[];
  /** Only where the link lets download. */
  links?: FileLink[];
  /** By stage; only where the link shows the report, as `files`, the addresses of its pictures. */
  report?: ReportSource["parts"];
  files?: Record<string, string>;
  links_expire_at: string;
}

const TOKEN = /^#([a-z0-9][a-z0-9-]{2,63}\.[A-Za-z0-9_-]{43})$/; // of spaceport/pipeline/jobs/shares.py
const RUNNING_MS = 60_000;
/** Addresses of files are renewed that long before they end. */
const EARLY_MS = 5 * 60_000;

/** The token behind `#`, which browsers send to nobody. Null where there is none. */
export function tokenOf(hash: string): string | null {
  return TOKEN.exec(hash)?.[1] ?? null;
}

/** Milliseconds until it is worth asking again: a job goes on, and addresses of files end. */
export function renewal(answer: SharedAnswer, now: number): number {
  if (!END_STATES.has(answer.job.state)) return RUNNING_MS;
  return Math.max(RUNNING_MS, Date.parse(answer.links_expire_at) - now - EARLY_MS);
}

/** The best picture of the model to show before it is there. */
export function posterOf(answer: SharedAnswer): string | null {
  const picture = answer.pictures.find(({ file }) => file.endsWith(".jpg"));
  return picture?.url ?? null;
}

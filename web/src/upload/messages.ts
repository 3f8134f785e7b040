/** What page and worker say to each other. */

import type { Plan } from "./engine.ts";

export interface Start {
  kind: "start";
  api: string;
  key: string;
  plan: Plan;
  /** One file that goes as it is, or the files of a virtual zip with their paths in it. */
  files: File[];
  paths: string[] | null;
  /** Of the entries of the virtual zip, as far as they were computed before. */
  crcs: (number | null)[];
}
export type ToWorker = Start | { kind: "online" };
export type FromWorker =
  | { kind: "progress"; sent: number }
  | { kind: "waiting"; isOffline: boolean }
  | { kind: "crc"; entry: number; crc: number }
  | { kind: "done" }
  | { kind: "failed"; sentence: string; isKeyRefused: boolean; isGone: boolean };

/** Sends the parts of an upload that are not there yet: three at a time, each tried five times, patient without a connection. */

import { ApiError, Offline, type Client } from "../api/client.ts";
import { crc32OfBlob, crcAsBase64 } from "./crc32.ts";

export interface Plan {
  id: string;
  bytes: number;
  partBytes: number;
  /** How many there are; numbered from 1. */
  parts: number;
}
/** The bytes of an upload from one place to another, without reading them. */
export type Slice = (from: number, to: number) => Promise<Blob>;
/** Puts a part where S3 wants it. Throws `Offline` without an answer, `ApiError` of S3's status. */
export type Put = (url: string, headers: Record<string, string>, part: Blob, onSent: (bytes: number) => void, signal: AbortSignal) => Promise<void>;
export interface Hooks {
  onProgress(sent: number): void;
  onWaiting(isOffline: boolean): void;
  /** Until the next try, or until the connection is back. */
  pause(ms: number): Promise<void>;
}
interface UploadAnswer {
  uploaded: { n: number; bytes: number }[];
  state: "UPLOADING" | "COMPLETE";
}

export const LANES = 3;
export const TRIES = 5;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

export class PartFailed extends Error {}

/** Raises `PartFailed`, `ApiError` where the API refuses (the key, or the upload is gone), and what `slice` raises. */
export async function sendParts(plan: Plan, slice: Slice, client: Client, put: Put, hooks: Hooks, signal: AbortSignal): Promise<void> {
  const there = await patiently(() => client.get<UploadAnswer>(`/uploads/${plan.id}`), hooks, signal);
  if (there.state === "COMPLETE") return;
  const uploaded = new Set(there.uploaded.map((part) => part.n));
  const missing = Array.from({ length: plan.parts }, (_, index) => index + 1).filter((n) => !uploaded.has(n));
  const sent = new Map<number, number>();
  const base = there.uploaded.reduce((sum, part) => sum + part.bytes, 0);
  const tell = () => hooks.onProgress(base + [...sent.values()].reduce((sum, bytes) => sum + bytes, 0));
  tell();
  const failed = new AbortController(); // one lane's end is all lanes' end
  const both = AbortSignal.any([signal, failed.signal]);
  const lane = async () => {
    for (let n = missing.shift(); n !== undefined && !both.aborted; n = missing.shift()) {
      const number = n;
      await sendPart(plan, number, slice, client, put, hooks, both, (bytes) => {
        sent.set(number, bytes);
        tell();
      });
    }
  };
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
  } finally {
    failed.abort();
  }
  signal.throwIfAborted();
}

async function sendPart(
  plan: Plan, n: number, slice: Slice, client: Client, put: Put, hooks: Hooks, signal: AbortSignal, onSent: (bytes: number) => void,
): Promise<void> {
  const from = (n - 1) * plan.partBytes;
  const part = await slice(from, Math.min(from + plan.partBytes, plan.bytes));
  const crc32 = crcAsBase64(await crc32OfBlob(part));
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      await patiently(async () => {
        const body = { parts: [{ n, bytes: part.size, crc32 }] };
        const signed = await client.post<{ parts: { url: string; headers: Record<string, string> }[] }>(`/uploads/${plan.id}/parts`, body);
        const [first] = signed.parts;
        if (!first) throw new PartFailed("The server signed no part.");
        await put(first.url, first.headers, part, onSent, signal).catch((error: unknown) => {
          throw error instanceof ApiError ? new PartFailed(error.message) : error; // of S3: no refusal of the key
        });
      }, hooks, signal);
      return onSent(part.size);
    } catch (error) {
      onSent(0);
      const isWorthAnother = error instanceof PartFailed || (error instanceof ApiError && error.isPassing);
      if (!isWorthAnother || attempt >= TRIES) throw error;
      await hooks.pause(FIRST_PAUSE_MS * 2 ** (attempt - 1));
    }
  }
}

/** Do it again for as long as there is no connection. */
async function patiently<T>(call: () => Promise<T>, hooks: Hooks, signal: AbortSignal): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      const result = await call();
      if (attempt) hooks.onWaiting(false);
      return result;
    } catch (error) {
      if (!(error instanceof Offline)) throw error;
      hooks.onWaiting(true);
      await hooks.pause(Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS));
    }
  }
}

/** Reads, checks and sends, away from the page's own thread: one upload for each worker. */

import { ApiError, Client } from "../api/client.ts";
import { crc32OfBlob } from "./crc32.ts";
import { sendParts, type Slice } from "./engine.ts";
import type { FromWorker, Start, ToWorker } from "./messages.ts";
import { put } from "./put.ts";
import { layOut, piecesOf } from "./virtual_zip.ts";

/** What the worker's own scope is, which the types of pages do not know. */
const scope = self as unknown as { postMessage(message: FromWorker): void; onmessage: ((event: MessageEvent<ToWorker>) => void) | null };
let endPause: (() => void) | null = null;

scope.onmessage = ({ data }) => {
  if (data.kind === "online") endPause?.();
  else void run(data);
};
self.addEventListener("online", () => endPause?.());

async function run(start: Start): Promise<void> {
  let sent = -1;
  const hooks = {
    onProgress: (bytes: number) => {
      if (bytes !== sent) scope.postMessage({ kind: "progress", sent: bytes });
      sent = bytes;
    },
    onWaiting: (isOffline: boolean) => scope.postMessage({ kind: "waiting", isOffline }),
    pause,
  };
  try {
    const never = new AbortController().signal; // the page ends the whole worker
    await sendParts(start.plan, sliceOf(start), new Client(start.api, start.key), put, hooks, never);
    scope.postMessage({ kind: "done" });
  } catch (error) {
    scope.postMessage({
      kind: "failed",
      sentence: isUnreadable(error) ? "A file was changed, moved or taken away since. Choose the same files again." : error instanceof Error ? error.message : String(error),
      isKeyRefused: error instanceof ApiError && error.isKeyRefused,
      isGone: error instanceof ApiError && error.status === 404,
    });
  }
}

function isUnreadable(error: unknown): boolean {
  return error instanceof DOMException && (error.name === "NotReadableError" || error.name === "NotFoundError");
}

function sliceOf({ files, paths, crcs }: Start): Slice {
  if (paths === null) return async (from, to) => (files[0] as File).slice(from, to);
  const sources = files.map((file, n) => ({ path: paths[n] as string, size: file.size, modified: file.lastModified }));
  const { layout, order } = layOut(sources);
  const known = new Map<number, Promise<number>>();
  crcs.forEach((crc, entry) => {
    if (crc !== null) known.set(entry, Promise.resolve(crc));
  });
  const fileOf = (entry: number) => files[order[entry] as number] as File;
  const crcOf = (entry: number) => {
    const crc = known.get(entry) ?? crc32OfBlob(fileOf(entry)).then((value) => {
      scope.postMessage({ kind: "crc", entry, crc: value });
      return value;
    });
    known.set(entry, crc);
    return crc;
  };
  return async (from, to) => {
    const pieces = await piecesOf(layout, from, to, crcOf);
    return new Blob(pieces.map((piece) => ("bytes" in piece ? piece.bytes : fileOf(piece.file).slice(piece.from, piece.to))));
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => endPause?.(), ms);
    const before = endPause;
    endPause = () => {
      clearTimeout(timer);
      endPause = null;
      before?.();
      resolve();
    };
  });
}

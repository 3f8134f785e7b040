/** One part to S3, by the only request of a browser that tells how much of it is sent. */

import { ApiError, Offline } from "../api/client.ts";
import type { Put } from "./engine.ts";

/** Milliseconds without a byte after which a connection counts as none. */
const SILENCE_MS = 60_000;

export const put: Put = (url, headers, part, onSent, signal) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let silence = 0;
    const wait = () => {
      clearTimeout(silence);
      silence = setTimeout(() => request.abort(), SILENCE_MS) as unknown as number;
    };
    const end = (settle: () => void) => {
      clearTimeout(silence);
      signal.removeEventListener("abort", abort);
      settle();
    };
    const abort = () => request.abort();
    request.upload.onprogress = (event) => {
      wait();
      onSent(event.loaded);
    };
    request.onload = () =>
      end(() => (request.status < 300 ? resolve() : reject(new ApiError(request.status, "", `The storage answered ${request.status} to a part.`))));
    request.onerror = () => end(() => reject(new Offline("storage")));
    request.onabort = () => end(() => reject(signal.aborted ? signal.reason : new Offline("storage")));
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", abort);
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    wait();
    request.send(part);
  });

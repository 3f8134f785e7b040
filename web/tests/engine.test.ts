import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { ApiError, Client, Offline } from "../src/api/client.ts";
import { sendParts, TRIES, type Hooks, type Plan, type Put } from "../src/upload/engine.ts";

const FILE = randomBytes(1050);
const PLAN: Plan = { id: "beach-0123456789", bytes: FILE.length, partBytes: 100, parts: 11 };
const slice = async (from: number, to: number) => new Blob([FILE.subarray(from, to)]);

/** S3 and the API in memory; `fault` may throw before a part is kept. */
class Server {
  readonly parts = new Map<number, Buffer>();
  fault: (n: number) => void = () => {};
  flying = 0;
  most = 0;
  pauses: number[] = [];
  progress: number[] = [];
  waiting: boolean[] = [];

  readonly client = new Client("https://api.test", "key", (async (url: string, init: RequestInit) => {
    if (init.method === "GET") {
      const uploaded = [...this.parts].map(([n, data]) => ({ n, bytes: data.length }));
      return new Response(JSON.stringify({ uploaded, state: "UPLOADING" }));
    }
    const { parts } = JSON.parse(String(init.body)) as { parts: { n: number; crc32: string }[] };
    const signed = parts.map(({ n, crc32 }) => ({ n, url: `https://s3.test/${n}`, headers: { "x-amz-checksum-crc32": crc32 } }));
    assert.ok(url.endsWith("/parts"));
    return new Response(JSON.stringify({ parts: signed }));
  }) as typeof fetch);

  readonly put: Put = async (url, headers, part, onSent, signal) => {
    signal.throwIfAborted();
    const n = Number(url.split("/").at(-1));
    this.flying += 1;
    this.most = Math.max(this.most, this.flying);
    try {
      await new Promise((resolve) => setImmediate(resolve));
      onSent(part.size / 2);
      this.fault(n);
      assert.equal(headers["x-amz-checksum-crc32"]?.length, 8);
      this.parts.set(n, Buffer.from(await part.arrayBuffer()));
    } finally {
      this.flying -= 1;
    }
  };

  readonly hooks: Hooks = {
    onProgress: (sent) => this.progress.push(sent),
    onWaiting: (isOffline) => this.waiting.push(isOffline),
    pause: async (ms) => {
      this.pauses.push(ms);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };

  send(signal = new AbortController().signal): Promise<void> {
    return sendParts(PLAN, slice, this.client, this.put, this.hooks, signal);
  }

  get whole(): Buffer {
    return Buffer.concat([...this.parts].sort(([a], [b]) => a - b).map(([, data]) => data));
  }
}

test("every byte arrives once, three parts at a time, and the progress ends at all of them", async () => {
  const server = new Server();
  await server.send();
  assert.deepEqual(server.whole, FILE);
  assert.equal(server.most, 3);
  assert.equal(server.progress.at(-1), FILE.length);
});

test("killed at any part and begun again, only what is missing is sent", async () => {
  for (let killed = 1; killed <= PLAN.parts; killed++) {
    const server = new Server();
    const abort = new AbortController();
    server.fault = (n) => {
      if (n === killed) {
        abort.abort(new Error("closed"));
        throw abort.signal.reason;
      }
    };
    await assert.rejects(server.send(abort.signal), /closed/);
    const before = new Set(server.parts.keys());
    const again: number[] = [];
    server.fault = (n) => void again.push(n);
    await server.send();
    assert.deepEqual(server.whole, FILE);
    assert.ok(again.every((n) => !before.has(n)));
  }
});

test("a part that S3 refuses is sent again, five times at most, with longer and longer pauses", async () => {
  const server = new Server();
  let refusals = TRIES - 1;
  server.fault = (n) => {
    if (n === 4 && refusals-- > 0) throw new ApiError(400, "BadDigest", "The checksum is wrong.");
  };
  await server.send();
  assert.deepEqual(server.whole, FILE);
  assert.deepEqual(server.pauses, [1000, 2000, 4000, 8000]);
  const broken = new Server();
  let tries = 0;
  broken.fault = (n) => {
    if (n !== 4) return;
    tries += 1;
    throw new ApiError(403, "", "refused");
  };
  await assert.rejects(broken.send(), (error) => error instanceof Error && !(error instanceof ApiError) && error.message === "refused");
  assert.equal(tries, TRIES);
});

test("no connection counts as no try, and is waited for", async () => {
  const server = new Server();
  let offline = 20;
  server.fault = () => {
    if (offline-- > 0) throw new Offline("s3");
  };
  await server.send();
  assert.deepEqual(server.whole, FILE);
  assert.ok(server.waiting.includes(true) && server.waiting.includes(false));
  assert.ok(Math.max(...server.pauses) <= 30_000);
});

test("a refused key ends it at once, and the API's word is kept", async () => {
  const server = new Server();
  const refusing = new Client("https://api.test", "key", (async () => new Response("{}", { status: 403 })) as typeof fetch);
  await assert.rejects(sendParts(PLAN, slice, refusing, server.put, server.hooks, new AbortController().signal), (error) => error instanceof ApiError && error.isKeyRefused);
  assert.deepEqual(server.pauses, []);
});

test("what the page cannot read any more is said", async () => {
  const server = new Server();
  const gone = async () => Promise.reject(new Error("The file has changed."));
  await assert.rejects(sendParts(PLAN, gone, server.client, server.put, server.hooks, new AbortController().signal), /has changed/);
});

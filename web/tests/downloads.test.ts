import assert from "node:assert/strict";
import { test } from "node:test";
import { Downloads } from "../src/viewer/downloads.ts";

type Call = { address: string; init: RequestInit };

function downloads(status = 200, calls: Call[] = []) {
  return { calls, all: new Downloads((async (address: string, init: RequestInit) => {
    calls.push({ address, init });
    return new Response(address, { status });
  }) as typeof fetch) };
}

test("what has begun is not fetched again, and is handed over once", async () => {
  const { all, calls } = downloads();
  all.begin("https://s3.test/a");
  assert.equal(await (await all.take("https://s3.test/a")).text(), "https://s3.test/a");
  assert.equal(calls.length, 1);
  assert.equal(calls[0]?.init.referrerPolicy, "no-referrer");
  await all.take("https://s3.test/a");
  assert.equal(calls.length, 2);
});

test("another address is fetched for itself, and the next beginning ends the one that nobody took", async () => {
  const { all, calls } = downloads();
  all.begin("https://s3.test/a");
  assert.equal(await (await all.take("https://s3.test/b")).text(), "https://s3.test/b");
  assert.equal(calls[0]?.init.signal?.aborted, false);
  all.begin("https://s3.test/c");
  assert.equal(calls[0]?.init.signal?.aborted, true);
  await all.take("https://s3.test/c");
  all.begin("https://s3.test/d");
  assert.equal(calls[2]?.init.signal?.aborted, false, "it is somebody's");
});

test("a refusal is an error for whoever takes it, and for nobody else", async () => {
  const { all } = downloads(403);
  all.begin("https://s3.test/a");
  await new Promise((resolve) => setImmediate(resolve)); // an unhandled rejection would end the process
  await assert.rejects(all.take("https://s3.test/a"), /403/);
  await assert.rejects(all.take("https://s3.test/b"), /403/);
});

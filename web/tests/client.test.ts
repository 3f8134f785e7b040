import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, Client, Offline } from "../src/api/client.ts";

type Call = { url: string; init: RequestInit };

function client(answers: (Response | Error)[], calls: Call[] = []) {
  const fetcher = (async (url: string, init: RequestInit) => {
    calls.push({ url, init });
    const answer = answers.shift();
    if (!answer || answer instanceof Error) throw answer ?? new Error("no answer left");
    return answer;
  }) as typeof fetch;
  return new Client("https://api.test/v1", "secret", fetcher);
}

const json = (body: unknown, init: ResponseInit = {}) => new Response(JSON.stringify(body), init);
const header = (call: Call | undefined, name: string) => (call?.init.headers as Record<string, string>)[name];

test("every call has the key, and it is in no address", async () => {
  const calls: Call[] = [];
  await client([json({}), json({})], calls).get("/jobs").then(() => undefined);
  assert.equal(header(calls[0], "x-api-key"), "secret");
  assert.equal(calls[0]?.url, "https://api.test/v1/jobs");
  assert.equal(calls[0]?.init.referrerPolicy, "no-referrer");
});

test("who has a link sends its token and no key, and the token is in no address", async () => {
  const calls: Call[] = [];
  const fetcher = (async (url: string, init: RequestInit) => (calls.push({ url, init }), json({}))) as typeof fetch;
  await Client.ofShare("https://api.test/v1", "beach-job.secret", fetcher).get("/shared");
  assert.equal(header(calls[0], "x-share-token"), "beach-job.secret");
  assert.equal(header(calls[0], "x-api-key"), undefined);
  assert.equal(calls[0]?.url, "https://api.test/v1/shared");
});

test("what has not changed is not sent again", async () => {
  const calls: Call[] = [];
  const api = client([json({ n: 1 }, { headers: { etag: '"a"' } }), new Response(null, { status: 304 }), json({ n: 2 })], calls);
  assert.deepEqual(await api.get("/jobs/x"), { n: 1 });
  assert.deepEqual(await api.get("/jobs/x"), { n: 1 });
  assert.equal(header(calls[1], "if-none-match"), '"a"');
  assert.deepEqual(await api.get("/jobs/x"), { n: 2 });
  assert.equal(header(calls[0], "if-none-match"), undefined);
});

test("what was asked for ahead is not asked for again, and serves once", async () => {
  const calls: Call[] = [];
  const api = client([json({ n: 1 }), json({ n: 2 })], calls);
  api.ahead("/jobs/x/model");
  assert.deepEqual(await api.get("/jobs/x/model"), { n: 1 });
  assert.equal(calls.length, 1);
  assert.deepEqual(await api.get("/jobs/x/model"), { n: 2 });
});

test("a refusal that came ahead is forgotten: by now there may be something", async () => {
  const api = client([json({ slug: "no_model" }, { status: 404 }), json({ n: 1 })]);
  api.ahead("/jobs/x/model");
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(await api.get("/jobs/x/model"), { n: 1 });
});

test("the server's own sentence is shown", async () => {
  const refusal = json({ slug: "bad_options", sentence: "The options are wrong." }, { status: 400 });
  await assert.rejects(client([refusal]).post("/start-job", {}), (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.message, "The options are wrong.");
    assert.ok(!error.isKeyRefused && !error.isPassing);
    return true;
  });
});

test("a key is refused by the gateway, a job by the API", async () => {
  const refused = async (body: unknown) => {
    const error: unknown = await client([json(body, { status: 403 })]).get("/jobs").catch((each: unknown) => each);
    return (error as ApiError).isKeyRefused;
  };
  assert.equal(await refused({ message: "Forbidden" }), true);
  assert.equal(await refused({ slug: "forbidden", sentence: "Another key began the job." }), false);
});

test("no answer is no connection; too many calls may be made again", async () => {
  await assert.rejects(client([new TypeError("Failed to fetch")]).get("/jobs"), Offline);
  const busy = new Response("", { status: 429, headers: { "retry-after": "7" } });
  await assert.rejects(client([busy]).get("/jobs"), (error) => error instanceof ApiError && error.isPassing && error.retryAfter === 7);
});

test("an answer that is no JSON is an error with a sentence", async () => {
  await assert.rejects(client([new Response("<html>")]).get("/jobs"), ApiError);
  await assert.rejects(client([new Response("<html>", { status: 502 })]).get("/jobs"), /answered 502/);
});

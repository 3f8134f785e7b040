import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job, Stage } from "../src/api/types.ts";
import { nextStage } from "../src/app.ts";
import { progressOf, shareOf } from "../src/parts/stage_rail.ts";
import { addressOf, routeOf } from "../src/route.ts";
import { age, bytes, dollars, duration, figures, percent, secondLine } from "../src/words/en.ts";

const JOB: Job = {
  job_id: "beach-0123456789", name: "Beach", state: "TRAINING", percent: 38.4, message: "", created_at: "", updated_at: "",
  counts: {}, quality: {}, live: {}, estimate_usd: {}, cost_usd: {}, seconds: {}, outputs: { sfm: "jobs/x/colmap/manifest.json" },
};

test("figures are written as people read them", () => {
  assert.equal(percent(99.97), "99 %");
  assert.deepEqual([0, 0.004, 0.036, 12.5].map(dollars), ["$0.00", "under $0.01", "$0.04", "$12.50"]);
  assert.deepEqual([999, 1000, 9_960_000, 99_600_000, 12_345_678_901].map(bytes), ["999 B", "1.0 kB", "10 MB", "100 MB", "12 GB"]);
  assert.deepEqual([0.4, 89, 90, 3600, 5400, 9000].map(duration), ["0 s", "89 s", "2 min", "60 min", "1 h 30 min", "2 h 30 min"]);
  assert.deepEqual(figures({ seconds_left: 360, gaussians: 41200, psnr: 24.12, step: "x" }), ["about 6 min left", "41,200 Gaussians", "24.1 dB"]);
  assert.deepEqual(figures({ seconds_left: 0, psnr: 24.12 }), ["24.1 dB"], "what is almost done says no time");
});

test("ages", () => {
  const now = Date.parse("2026-11-27T12:00:00Z");
  assert.equal(age("2026-11-27T11:59:40Z", now), "just now");
  assert.equal(age("2026-11-27T11:01:00Z", now), "59 minutes ago");
  assert.equal(age("2026-11-26T11:00:00Z", now), "yesterday");
  assert.equal(age("2026-11-28T11:00:00Z", now), "just now", "a clock that is behind");
});

test("the address of every page leads to it, and no other id is taken", () => {
  for (const route of [{ page: "home" }, { page: "new" }, { page: "job", id: "beach-0123456789" }, { page: "job", id: "beach-0123456789", tab: "files" }] as const)
    assert.deepEqual(routeOf(addressOf(route).slice(2)), route);
  assert.deepEqual(routeOf("?job=../x"), { page: "home" });
  assert.deepEqual(routeOf("?job=beach-0123456789&tab=<b>"), { page: "job", id: "beach-0123456789" });
});

test("the rail shows one stage running or stopped, and all before it done", () => {
  const rail = (job: Job) => (["sfm", "train", "compress"] as const).map((stage) => progressOf(job, stage));
  assert.deepEqual(rail(JOB), ["done", "running", "waiting"]);
  assert.deepEqual(rail({ ...JOB, state: "FAILED" }), ["done", "failed", "waiting"]);
  assert.deepEqual(rail({ ...JOB, state: "RECEIVED", outputs: {} }), ["waiting", "waiting", "waiting"]);
  assert.deepEqual(rail({ ...JOB, state: "REJECTED", outputs: {} }), ["waiting", "waiting", "waiting"]);
});

test("a job that goes on from another one has what that one made, and one without a file of its own is red at its end", () => {
  const rail = (job: Job) => (["sfm", "train", "compress"] as const).map((stage) => progressOf(job, stage));
  assert.deepEqual(rail({ ...JOB, state: "COMPRESSING", outputs: { train: "a" } }), ["done", "done", "running"]);
  assert.deepEqual(rail({ ...JOB, state: "STOPPED", stage: "compress", outputs: {} }), ["done", "done", "failed"]);
  assert.deepEqual(rail({ ...JOB, state: "COMPLETED_DEGRADED", outputs: { train: "a", compress: "b" } }), ["done", "done", "failed"]);
});

test("a job goes on from the first stage that it has not finished, if that has what it begins with", () => {
  const next = (job: Partial<Job>, ...retry_from: Stage[]) => nextStage({ job: { ...JOB, ...job }, links: [], retry_from });
  assert.equal(next({ state: "STOPPED" }, "sfm", "train"), "train");
  assert.equal(next({ state: "FAILED", outputs: {} }, "sfm"), "sfm");
  assert.equal(next({ state: "STOPPED" }), null, "its files are gone");
  assert.equal(next({ state: "COMPLETED_DEGRADED", outputs: { sfm: "a", train: "b", compress: "c" } }, "sfm", "train", "compress"), "compress");
  assert.equal(next({}, "sfm"), null);
  assert.equal(next({ state: "REJECTED", outputs: {} }), null);
});

test("the running stage's share is of its own part of the line", () => {
  assert.equal(shareOf(25, "train"), 0);
  assert.equal(shareOf(57.5, "train"), 0.5);
  assert.equal(shareOf(100, "compress"), 1);
  assert.equal(shareOf(10, "train"), 0);
});

test("the second line never says the headline again", () => {
  const second = (message: string) => secondLine({ ...JOB, message });
  assert.equal(second("Training advanced neural 3D representation"), "");
  assert.equal(second("Training advanced neural 3D representation: 3 of 9"), "3 of 9");
  assert.equal(second("Fetching the input"), "Fetching the input");
  assert.equal(secondLine({ ...JOB, state: "STOPPED" }), "Placed photos are kept.");
  assert.equal(secondLine({ ...JOB, state: "STOPPED", outputs: { train: "a" } }), "Placed photos and the trained model are kept.");
  assert.equal(secondLine({ ...JOB, state: "STOPPED", outputs: {} }), "");
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { changesFrom, changesOf, optionsOf } from "../src/api/schema.ts";
import type { Job, OptionsAnswer } from "../src/api/types.ts";
import { Previews, renewed } from "../src/jobs_list.ts";
import { ticks } from "../src/parts/psnr_curve.ts";
import { guiltyFile } from "../src/parts/refused_files.ts";

const job = (job_id: string, updated_at: string) => ({ job_id, updated_at }) as Job;

test("a list that is asked for again keeps what is below its first page, each job once", () => {
  const known = [job("c", "03"), job("b", "02"), job("a", "01")];
  const ids = (jobs: Job[]) => jobs.map(({ job_id }) => job_id).join("");
  assert.equal(ids(renewed([job("d", "04"), job("c", "03")], known)), "dcba");
  assert.equal(ids(renewed([job("a", "05"), job("c", "03")], known)), "acb", "it has risen");
  assert.equal(ids(renewed([job("b", "02")], known)), "ba", "the one above is gone: it was deleted");
});

test("pictures of a list are asked for once in an hour, and when a job has got one", () => {
  const previews = new Previews();
  const [running, ready] = [{ job_id: "a", counts: {} }, { job_id: "b", counts: { thumb_bytes: 9 } }] as unknown as [Job, Job];
  assert.equal(previews.query(undefined, 0), "&previews=true", "nobody knows yet what there is");
  assert.equal(previews.query([running], 0), "");
  assert.equal(previews.query([running, ready], 0), "&previews=true");
  previews.keep([running, { ...ready, preview: "https://s3.test/b" }], 0);
  assert.equal(previews.query([running, ready], 1000), "");
  previews.keep([running, ready], 1000);
  assert.deepEqual([running, ready].map((job) => previews.of(job)), [null, "https://s3.test/b"]);
  previews.keep([{ ...ready, preview: "https://s3.test/b?signed=later" }], 2000);
  assert.equal(previews.of(ready), "https://s3.test/b", "through another filter: its picture is there already");
  const retried = { ...ready, counts: { thumb_bytes: 8 } };
  assert.equal(previews.query([retried], 3000), "&previews=true", "compressed again: another picture");
  previews.keep([{ ...retried, preview: "https://s3.test/b?signed=anew" }], 3000);
  assert.equal(previews.of(retried), "https://s3.test/b?signed=anew");
  assert.equal(previews.query([running, retried], 3600_000), "&previews=true", "the address ends");
});

test("ticks are round, few, and around all values", () => {
  for (let n = 0; n < 500; n += 1) {
    const low = Math.random() * 40;
    const high = low + Math.random() * 10 ** (n % 4 - 2);
    const marks = ticks(low, high);
    assert.ok((marks[0] ?? 99) <= low + 1e-6 && (marks.at(-1) ?? 0) >= high - 1e-6, `${low} ${high} ${marks}`);
    assert.ok(marks.length >= 2 && marks.length <= 6, `${low} ${high} ${marks}`);
    assert.ok(marks.every((mark) => String(mark).length <= 5), `${marks}`);
  }
  assert.deepEqual(ticks(18.2, 24.1), [18, 20, 22, 24, 26]);
});

test("the guilty file of a refused upload is the one that its sentence names", () => {
  assert.equal(guiltyFile("The zip is damaged and cannot be unpacked (photos/DJI_7.JPG). Make a fresh zip of the photos and upload that."), "photos/DJI_7.JPG");
  assert.equal(guiltyFile("The file geo.txt cannot be used: line 3 has two fields. Correct it or leave it out, and upload the photos again."), "geo.txt");
  assert.equal(guiltyFile("The zip holds no photos. It needs photos (JPEG, HEIC, PNG, TIFF, WebP, DNG) or a video (MP4, MOV)."), null);
  assert.equal(guiltyFile("The zip is empty. Put your photos into it and upload it again."), null);
});

test("a job's options are its preset and what differs from it", () => {
  const schema = JSON.parse(readFileSync("events/JobOptions.schema.json", "utf8")) as Record<string, unknown>;
  const defaults = { preset: "standard", sfm: { max_photos: 500, seed: 0 }, train: { preset: "standard", max_iterations: null }, compress: {}, compress_enabled: true };
  const answer: OptionsAnswer = { schema, defaults, presets: { standard: {}, draft: { sfm: { max_photos: 150 }, train: { preset: "draft" } } } };
  assert.deepEqual(changesOf(answer, "draft"), ["Most photos: 150"]);
  const options = { preset: "draft", sfm: { max_photos: 150, seed: 7 }, train: { preset: "draft", max_iterations: 123 }, compress: {}, compress_enabled: true };
  const { preset, changes } = changesFrom(answer, options);
  assert.deepEqual([preset, Object.fromEntries(changes)], ["draft", { "sfm.seed": 7, "train.max_iterations": 123 }]);
  assert.deepEqual(optionsOf(preset, changes), { preset: "draft", sfm: { seed: 7 }, train: { max_iterations: 123 } });
});

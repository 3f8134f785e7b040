import assert from "node:assert/strict";
import { test } from "node:test";
import { posterOf, renewal, tokenOf, type SharedAnswer } from "../src/api/shared.ts";

const SECRET = "aB-_".repeat(10) + "abc";
const NOW = Date.parse("2026-11-27T12:00:00Z");

function answer(changes: Partial<SharedAnswer> & { state?: SharedAnswer["job"]["state"] } = {}): SharedAnswer {
  return {
    job: { name: "Beach", created_at: "2026-11-27T11:00:00Z", state: changes.state ?? "COMPLETED", counts: {} },
    may: "look", expires_at: "2026-12-27T12:00:00Z", model: true, pictures: [], links_expire_at: "2026-11-27T13:00:00Z", ...changes,
  };
}

test("a token is what is behind the sign, and nothing else is one", () => {
  assert.equal(tokenOf(`#beach-job.${SECRET}`), `beach-job.${SECRET}`);
  for (const hash of ["", "#", `beach-job.${SECRET}`, `#${SECRET}`, `#beach-job.${SECRET}x`, `#../x.${SECRET}`, `#beach-job.${SECRET}\n`, "#key=abc"])
    assert.equal(tokenOf(hash), null, hash);
});

test("it asks again before addresses of files end, and each minute while the job runs", () => {
  assert.equal(renewal(answer(), NOW), 55 * 60_000);
  assert.equal(renewal(answer(), NOW + 3_600_000), 60_000, "never more often than each minute");
  assert.equal(renewal(answer({ state: "TRAINING" }), NOW), 60_000);
});

test("the poster is the first picture, and no film", () => {
  const link = (file: string) => ({ file, label: "", url: `https://bucket/${file}`, bytes: 1 });
  assert.equal(posterOf(answer({ pictures: [link("compressed/flight.mp4"), link("compressed/preview.jpg")] })), "https://bucket/compressed/preview.jpg");
  assert.equal(posterOf(answer()), null);
});

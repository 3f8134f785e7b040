import assert from "node:assert/strict";
import { test } from "node:test";
import { tabOfKey } from "../src/parts/tabs.ts";

test("arrows go round, Home and End to the ends, and other keys are nobody's", () => {
  assert.deepEqual(["ArrowRight", "ArrowLeft", "Home", "End", "Tab", "a"].map((key) => tabOfKey(key, 3, 4)), [0, 2, 0, 3, null, null]);
  assert.equal(tabOfKey("ArrowLeft", 0, 4), 3);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { frameCode, isLoopback, shareLink } from "../src/parts/share_links.ts";

test("links stand beside the page, whatever it shows, and the token is behind the sign", () => {
  for (const page of ["https://splats.example/p/", "https://splats.example/p/?job=a&tab=share", "https://splats.example/p/index.html?job=a#x"])
    assert.equal(shareLink(page, "a-job.S"), "https://splats.example/p/share.html#a-job.S");
});

test("a name breaks out of no attribute of the frame", () => {
  const code = frameCode("https://splats.example/", "a-job.S", `"><script>alert('1')</script>&amp;`);
  assert.ok(code.startsWith('<iframe src="https://splats.example/embed.html#a-job.S" title="&quot;&gt;&lt;script&gt;'));
  assert.equal(code.match(/[<>]/g)?.length, 4);
  assert.ok(code.includes("&amp;amp;"));
});

test("a laptop is known by its address", () => {
  assert.deepEqual(["127.0.0.1", "127.1.2.3", "localhost", "[::1]"].map(isLoopback), [true, true, true, true]);
  assert.deepEqual(["127.0.0.1.evil.example", "splats.example", "10.0.0.1"].map(isLoopback), [false, false, false]);
});

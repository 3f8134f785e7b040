import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { crc32 as zlibCrc32 } from "node:zlib";
import { crc32, crc32OfBlob, crcAsBase64 } from "../src/upload/crc32.ts";

/** Node's own where it has one (22.2 on), else bit by bit. */
function reference(bytes: Uint8Array): number {
  if (zlibCrc32) return zlibCrc32(bytes);
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

test("the check value of the standard", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  assert.equal(crc32(new Uint8Array()), 0);
});

test("any bytes, whole and in pieces", async () => {
  for (let length = 0; length < 70; length++) {
    const bytes = randomBytes(length);
    assert.equal(crc32(bytes), reference(bytes));
    const cut = Math.floor(length / 3);
    assert.equal(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut))), reference(bytes));
  }
  const large = randomBytes((1 << 20) * 2 + 3);
  assert.equal(await crc32OfBlob(new Blob([large])), reference(large));
});

test("S3's way to write it", () => {
  assert.equal(crcAsBase64(0), "AAAAAA==");
  assert.equal(crcAsBase64(0xcbf43926), Buffer.from([0xcb, 0xf4, 0x39, 0x26]).toString("base64"));
});

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { readExif } from "../src/upload/exif.ts";

const buffer = (bytes: Buffer): ArrayBuffer => new Uint8Array(bytes).buffer;

/** A TIFF directory with a camera and a position in the southern and western hemisphere. */
function jpeg(little: boolean): Buffer {
  const tiff = Buffer.alloc(400);
  const u16 = (value: number, at: number) => (little ? tiff.writeUInt16LE(value, at) : tiff.writeUInt16BE(value, at));
  const u32 = (value: number, at: number) => (little ? tiff.writeUInt32LE(value, at) : tiff.writeUInt32BE(value, at));
  const field = (at: number, tag: number, type: number, count: number, value: number) => {
    u16(tag, at);
    u16(type, at + 2);
    u32(count, at + 4);
    u32(value, at + 8);
  };
  const rationals = (at: number, ...values: [number, number][]) => values.forEach(([a, b], n) => {
    u32(a, at + 8 * n);
    u32(b, at + 8 * n + 4);
  });
  tiff.write(little ? "II" : "MM", 0, "latin1");
  u16(42, 2);
  u32(8, 4);
  u16(3, 8);
  field(10, 0x010f, 2, 4, 0);
  tiff.write("DJI\0", 18, "latin1");
  field(22, 0x0110, 2, 7, 200);
  tiff.write("FC3582\0", 200, "latin1");
  field(34, 0x8825, 4, 1, 60);
  u16(6, 60);
  field(62, 1, 2, 2, 0);
  tiff.write("S\0", 70, "latin1");
  field(74, 2, 5, 3, 220);
  field(86, 3, 2, 2, 0);
  tiff.write("W\0", 94, "latin1");
  field(98, 4, 5, 3, 250);
  field(110, 5, 1, 1, 0);
  field(122, 6, 5, 1, 280);
  rationals(220, [33, 1], [51, 1], [3600, 100]);
  rationals(250, [151, 1], [12, 1], [0, 1]);
  rationals(280, [1234, 10]);
  const app1 = Buffer.concat([Buffer.from("ffe1", "hex"), Buffer.alloc(2), Buffer.from("Exif\0\0", "latin1"), tiff]);
  app1.writeUInt16BE(app1.length - 2, 2);
  const app0 = Buffer.from("ffe000104a46494600010100000100010000", "hex");
  return Buffer.concat([Buffer.from("ffd8", "hex"), app0, app1, Buffer.from("ffd9", "hex")]);
}

test("camera and position, in both byte orders", () => {
  for (const little of [true, false]) {
    const exif = readExif(buffer(jpeg(little)));
    assert.equal(exif?.camera, "DJI FC3582");
    assert.ok(Math.abs((exif?.latitude ?? 0) + (33 + 51 / 60 + 36 / 3600)) < 1e-9);
    assert.ok(Math.abs((exif?.longitude ?? 0) + 151.2) < 1e-9);
    assert.equal(exif?.altitude, 123.4);
  }
});

test("cut or changed anywhere, it is nothing or a position on earth, and never an error", () => {
  const whole = jpeg(true);
  for (let length = 0; length < whole.length; length++) readExif(buffer(whole.subarray(0, length)));
  for (let round = 0; round < 3000; round++) {
    const bytes = Buffer.from(whole);
    for (let n = 0; n < 1 + (round % 6); n++) bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
    const exif = readExif(buffer(bytes));
    assert.ok(exif?.latitude === undefined || Math.abs(exif.latitude) <= 90, bytes.toString("hex"));
    assert.ok((exif?.camera?.length ?? 0) <= 401);
  }
  for (let round = 0; round < 300; round++) readExif(buffer(randomBytes(300)));
});

test("what is no JPEG has none", () => {
  assert.equal(readExif(new ArrayBuffer(0)), null);
  assert.equal(readExif(buffer(Buffer.from("89504e470d0a1a0a", "hex"))), null);
});

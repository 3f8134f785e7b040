/**
 * `node write_zip.mjs OUT PART FILE…`: zips files as the page does, in parts of PART bytes, the last part first.
 * `node write_zip.mjs OUT sparse LIST`: the records alone, of a zip of files that LIST ({path, size}) says; its data are holes.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { crc32 } from "../../src/upload/crc32.ts";
import { layOut, piecesOf, type Layout, type Source } from "../../src/upload/virtual_zip.ts";

const [out, how, ...names] = process.argv.slice(2) as [string, string, ...string[]];
const file = openSync(out, "w");

async function writeRange(layout: Layout, from: number, to: number, data: (n: number) => Uint8Array | null): Promise<void> {
  const crcOf = async (n: number) => crc32(data(n) ?? new Uint8Array());
  let at = from;
  for (const piece of await piecesOf(layout, from, to, crcOf)) {
    const bytes = "bytes" in piece ? piece.bytes : data(piece.file)?.subarray(piece.from, piece.to);
    if (bytes) writeSync(file, bytes, 0, bytes.length, at);
    at += "bytes" in piece ? piece.bytes.length : piece.to - piece.from;
  }
  if (at !== to) throw new Error(`${at} instead of ${to}`);
}

if (how === "sparse") {
  const sources = JSON.parse(readFileSync(names[0] as string, "utf8")) as Source[];
  const { layout } = layOut(sources);
  ftruncateSync(file, layout.bytes);
  await writeRange(layout, 0, layout.bytes, () => null);
} else {
  const sources = names.map((name) => ({ path: basename(name), size: statSync(name).size, modified: statSync(name).mtimeMs }));
  const { layout, order } = layOut(sources);
  const data = (n: number) => new Uint8Array(readFileSync(names[order[n] as number] as string));
  const part = Number(how);
  for (let n = Math.ceil(layout.bytes / part) - 1; n >= 0; n--) await writeRange(layout, n * part, Math.min((n + 1) * part, layout.bytes), data);
}
closeSync(file);

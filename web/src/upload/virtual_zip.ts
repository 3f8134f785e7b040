/**
 * A zip that is never written anywhere: where each byte of it comes from is fixed by names, sizes and dates alone, so any
 * part can be made at any time, again after a crash too, from pieces of the files. Entries are stored. Their checksums come
 * after their data (data descriptors), when they are known. APPNOTE.TXT 6.3.10 has the records.
 */

export interface Source {
  /** Path within the zip, with slashes. */
  path: string;
  size: number;
  /** Milliseconds since 1970. */
  modified: number;
}

type Kind = "header" | "data" | "descriptor" | "directory";
interface Segment {
  kind: Kind;
  entry: number;
  at: number;
  length: number;
}
interface Entry extends Source {
  name: Uint8Array;
  offset: number;
  isLarge: boolean;
}
export interface Layout {
  entries: readonly Entry[];
  segments: readonly Segment[];
  directoryAt: number;
  /** Of the whole zip. */
  bytes: number;
}
/** Bytes of the zip: made here, or those of a file from one place to another. */
export type Piece = { bytes: Uint8Array<ArrayBuffer> } | { file: number; from: number; to: number };

const LIMIT_32 = 0xffffffff;
const LIMIT_16 = 0xffff;
const FLAGS = 0x0808; // data descriptor, names in UTF-8
const VERSION = 20;
const VERSION_64 = 45;
const UNIX = 3 << 8;
const REGULAR_FILE = 0o100644 << 16;
const HEADER = 30;
const DIRECTORY_HEADER = 46;
const END = 22;
const END_64 = 56 + 20;

/** The layout of a zip of these files, in the order of their names. Two of one name: the later one is numbered. */
export function layOut(sources: readonly Source[]): { layout: Layout; order: number[] } {
  const named = sources.map((source, index) => ({ ...source, path: cleanPath(source.path), index }));
  named.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.index - b.index));
  const taken = new Set<string>();
  const entries: Entry[] = [];
  const segments: Segment[] = [];
  let at = 0;
  const add = (kind: Kind, entry: number, length: number) => {
    if (length) segments.push({ kind, entry, at, length });
    at += length;
  };
  for (const { path, size, modified } of named) {
    const unique = uniquePath(path, taken);
    const name = new TextEncoder().encode(unique);
    const isLarge = size >= LIMIT_32;
    const number = entries.push({ path: unique, size, modified, name, offset: at, isLarge }) - 1;
    add("header", number, HEADER + name.length + (isLarge ? 20 : 0));
    add("data", number, size);
    add("descriptor", number, isLarge ? 24 : 16);
  }
  const directoryAt = at;
  const directory = entries.reduce((sum, entry) => sum + DIRECTORY_HEADER + entry.name.length + extraLength(entry), 0);
  const isLarge = entries.length >= LIMIT_16 || directoryAt >= LIMIT_32 || directory >= LIMIT_32;
  add("directory", -1, directory + (isLarge ? END_64 : 0) + END);
  return { layout: { entries, segments, directoryAt, bytes: at }, order: named.map((each) => each.index) };
}

/**
 * What the zip holds from one byte to another.
 * @param crcOf the checksum of an entry's data; only asked for where it stands in those bytes
 */
export async function piecesOf(layout: Layout, from: number, to: number, crcOf: (entry: number) => Promise<number>): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for (let n = firstSegment(layout, from); n < layout.segments.length; n++) {
    const segment = layout.segments[n] as Segment;
    if (segment.at >= to) break;
    const [start, end] = [Math.max(from - segment.at, 0), Math.min(to - segment.at, segment.length)];
    if (segment.kind === "data") pieces.push({ file: segment.entry, from: start, to: end });
    else pieces.push({ bytes: (await recordOf(layout, segment, crcOf)).slice(start, end) });
  }
  return pieces;
}

/** The index of the segment in which a byte lies. */
function firstSegment({ segments }: Layout, byte: number): number {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { at, length } = segments[middle] as Segment;
    if (at + length <= byte) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function recordOf(layout: Layout, segment: Segment, crcOf: (entry: number) => Promise<number>): Promise<Uint8Array<ArrayBuffer>> {
  const writer = new Writer(segment.length);
  if (segment.kind === "directory") {
    for (let n = 0; n < layout.entries.length; n++) writeDirectoryEntry(writer, layout.entries[n] as Entry, await crcOf(n));
    writeEnd(writer, layout);
    return writer.bytes;
  }
  const entry = layout.entries[segment.entry] as Entry;
  if (segment.kind === "header") writeHeader(writer, entry);
  else writer.u32(0x08074b50).u32(await crcOf(segment.entry)).size(entry.size, entry.isLarge).size(entry.size, entry.isLarge);
  return writer.bytes;
}

function writeHeader(writer: Writer, entry: Entry): void {
  const later = entry.isLarge ? LIMIT_32 : 0;
  writer.u32(0x04034b50).u16(entry.isLarge ? VERSION_64 : VERSION).u16(FLAGS).u16(0).u32(dosTime(entry.modified));
  writer.u32(0).u32(later).u32(later).u16(entry.name.length).u16(entry.isLarge ? 20 : 0).raw(entry.name);
  if (entry.isLarge) writer.u16(1).u16(16).u64(0).u64(0);
}

function extraLength({ isLarge, offset }: Entry): number {
  const fields = (isLarge ? 16 : 0) + (offset >= LIMIT_32 ? 8 : 0);
  return fields ? 4 + fields : 0;
}

function writeDirectoryEntry(writer: Writer, entry: Entry, crc: number): void {
  const extra = extraLength(entry);
  const version = extra ? VERSION_64 : VERSION;
  const size = entry.isLarge ? LIMIT_32 : entry.size;
  writer.u32(0x02014b50).u16(UNIX | version).u16(version).u16(FLAGS).u16(0).u32(dosTime(entry.modified)).u32(crc);
  writer.u32(size).u32(size).u16(entry.name.length).u16(extra).u16(0).u16(0).u16(0).u32(REGULAR_FILE);
  writer.u32(Math.min(entry.offset, LIMIT_32)).raw(entry.name);
  if (extra) writer.u16(1).u16(extra - 4);
  if (entry.isLarge) writer.u64(entry.size).u64(entry.size);
  if (entry.offset >= LIMIT_32) writer.u64(entry.offset);
}

function writeEnd(writer: Writer, { entries, directoryAt }: Layout): void {
  const length = writer.at;
  const count = entries.length;
  if (writer.left > END) {
    writer.u32(0x06064b50).u64(44).u16(UNIX | VERSION_64).u16(VERSION_64).u32(0).u32(0);
    writer.u64(count).u64(count).u64(length).u64(directoryAt);
    writer.u32(0x07064b50).u32(0).u64(directoryAt + length).u32(1);
  }
  const shown = Math.min(count, LIMIT_16);
  writer.u32(0x06054b50).u16(0).u16(0).u16(shown).u16(shown);
  writer.u32(Math.min(length, LIMIT_32)).u32(Math.min(directoryAt, LIMIT_32)).u16(0);
}

/** Two seconds' precision, 1980 to 2107, in UTC: the same on every machine. */
function dosTime(modified: number): number {
  const date = new Date(Number.isFinite(modified) ? modified : 0);
  const year = date.getUTCFullYear();
  if (year < 1980 || year > 2107) return (1 << 21) | (1 << 16);
  const day = ((year - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate();
  const time = (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1);
  return ((day << 16) | time) >>> 0;
}

/** A relative path without `.` and `..`; what systems forbid in names is left to whoever unpacks. */
function cleanPath(path: string): string {
  const parts = path.replaceAll("\\", "/").split("/").filter((part) => part && part !== "." && part !== "..");
  return parts.join("/").slice(0, 2000) || "file";
}

function uniquePath(path: string, taken: Set<string>): string {
  const dot = path.lastIndexOf(".") > path.lastIndexOf("/") ? path.lastIndexOf(".") : path.length;
  let unique = path;
  for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${path.slice(0, dot)} (${n})${path.slice(dot)}`;
  taken.add(unique.toLowerCase());
  return unique;
}

/** Little-endian records of a known length. */
class Writer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  at = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  u16(value: number): this {
    this.#view.setUint16(this.at, value, true);
    this.at += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.at, value, true);
    this.at += 4;
    return this;
  }

  u64(value: number): this {
    this.#view.setBigUint64(this.at, BigInt(value), true);
    this.at += 8;
    return this;
  }

  size(value: number, isLarge: boolean): this {
    return isLarge ? this.u64(value) : this.u32(value);
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
    return this;
  }
}

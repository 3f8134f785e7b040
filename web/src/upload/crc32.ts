/** CRC-32 as zip and S3 have it (polynomial EDB88320), eight bytes at a time. */

const SLICES = 8;
const TABLES = makeTables();
const PIECE = 1 << 20;

function makeTables(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    first[byte] = value;
  }
  const tables = [first];
  for (let slice = 1; slice < SLICES; slice++) {
    const before = tables[slice - 1] as Uint32Array;
    tables.push(before.map((value) => (value >>> 8) ^ (first[value & 255] as number)));
  }
  return tables;
}

/** The checksum of what had the checksum `before`, and then these bytes. */
export function crc32(bytes: Uint8Array, before = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as [
    Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array,
  ];
  let crc = ~before;
  let at = 0;
  const end = bytes.length - (bytes.length % SLICES);
  const b = bytes as ArrayLike<number> as number[];
  for (; at < end; at += SLICES) {
    crc ^= b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
    crc =
      t7[crc & 255]! ^ t6[(crc >>> 8) & 255]! ^ t5[(crc >>> 16) & 255]! ^ t4[crc >>> 24]! ^
      t3[b[at + 4]!]! ^ t2[b[at + 5]!]! ^ t1[b[at + 6]!]! ^ t0[b[at + 7]!]!;
  }
  for (; at < b.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ b[at]!) & 255]!;
  return ~crc >>> 0;
}

/** The checksum of a file or a part of one, of which a megabyte at a time is in memory. */
export async function crc32OfBlob(blob: Blob): Promise<number> {
  let crc = 0;
  for (let at = 0; at < blob.size; at += PIECE)
    crc = crc32(new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer()), crc);
  return crc;
}

/** As S3 writes it: base64 of four bytes, the highest first. */
export function crcAsBase64(crc: number): string {
  return btoa(String.fromCharCode(crc >>> 24, (crc >>> 16) & 255, (crc >>> 8) & 255, crc & 255));
}

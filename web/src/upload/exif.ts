/** Where, when and with what a photo was taken, from the first 128 kB of a JPEG. Hostile bytes give nothing, never an error. */

export interface Exif {
  /** Degrees, north and east positive. */
  latitude?: number;
  longitude?: number;
  /** Metres above the ellipsoid or the sea, as the camera has it. */
  altitude?: number;
  camera?: string;
  /** As the camera writes it, `2026:11:27 12:00:00`. */
  takenAt?: string;
}

export const HEAD_BYTES = 128 << 10;
const MAX_ENTRIES = 500;
const MAX_TEXT = 200;
const SIZES: Record<number, number> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8 };
const [ASCII, SHORT, RATIONAL] = [2, 3, 5];

export function readExif(head: ArrayBuffer): Exif | null {
  const view = new DataView(head);
  const start = findTiff(view);
  if (start === null) return null;
  try {
    return readTiff(new DataView(head, start));
  } catch (error) {
    if (error instanceof RangeError) return null; // it ends before what it promises
    throw error;
  }
}

/** The place of the TIFF header within the APP1 segment. */
function findTiff(view: DataView): number | null {
  if (view.byteLength < 4 || view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; at + 10 <= view.byteLength; ) {
    const marker = view.getUint16(at);
    const length = view.getUint16(at + 2);
    if (marker < 0xffc0 || marker === 0xffda || length < 2) return null;
    if (marker === 0xffe1 && view.getUint32(at + 4) === 0x45786966 && view.getUint16(at + 8) === 0) return at + 10;
    at += 2 + length;
  }
  return null;
}

interface Field {
  type: number;
  count: number;
  at: number;
}

class Tiff {
  readonly #little: boolean;

  constructor(readonly view: DataView) {
    this.#little = view.getUint16(0) === 0x4949;
  }

  u16(at: number): number {
    return this.view.getUint16(at, this.#little);
  }

  u32(at: number): number {
    return this.view.getUint32(at, this.#little);
  }

  /** The fields of a directory, by tag. */
  directory(at: number): Map<number, Field> {
    const fields = new Map<number, Field>();
    const count = Math.min(this.u16(at), MAX_ENTRIES);
    for (let n = 0; n < count; n++) {
      const entry = at + 2 + 12 * n;
      const [type, items] = [this.u16(entry + 2), this.u32(entry + 4)];
      const bytes = (SIZES[type] ?? Infinity) * items;
      if (bytes > this.view.byteLength) continue;
      fields.set(this.u16(entry), { type, count: items, at: bytes <= 4 ? entry + 8 : this.u32(entry + 8) });
    }
    return fields;
  }

  text(field: Field | undefined): string | undefined {
    if (field?.type !== ASCII) return undefined;
    let text = "";
    for (let n = 0; n < Math.min(field.count, MAX_TEXT); n++) {
      const code = this.view.getUint8(field.at + n);
      if (code === 0) break;
      text += code >= 32 && code < 127 ? String.fromCharCode(code) : " ";
    }
    return text.trim() || undefined;
  }

  rational(field: Field, n: number): number {
    return this.u32(field.at + 8 * n) / this.u32(field.at + 8 * n + 4);
  }

  offset(field: Field | undefined): number | undefined {
    return field && (field.type === SHORT ? this.u16(field.at) : this.u32(field.at));
  }
}

function readTiff(view: DataView): Exif | null {
  const order = view.getUint16(0);
  const tiff = new Tiff(view);
  if ((order !== 0x4949 && order !== 0x4d4d) || tiff.u16(2) !== 42) return null;
  const main = tiff.directory(tiff.u32(4));
  const exif: Exif = {};
  const camera = [tiff.text(main.get(0x010f)), tiff.text(main.get(0x0110))].filter(Boolean).join(" ");
  if (camera) exif.camera = camera;
  const details = tiff.offset(main.get(0x8769));
  const takenAt = details === undefined ? undefined : tiff.text(tiff.directory(details).get(0x9003));
  if (takenAt) exif.takenAt = takenAt;
  const gps = tiff.offset(main.get(0x8825));
  return gps === undefined ? exif : { ...exif, ...position(tiff, tiff.directory(gps)) };
}

function position(tiff: Tiff, gps: Map<number, Field>): Exif {
  const latitude = degrees(tiff, gps.get(2), tiff.text(gps.get(1)) === "S", 90);
  const longitude = degrees(tiff, gps.get(4), tiff.text(gps.get(3)) === "W", 180);
  if (latitude === undefined || longitude === undefined || (latitude === 0 && longitude === 0)) return {};
  const field = gps.get(6);
  const height = field?.type === RATIONAL ? tiff.rational(field, 0) : NaN;
  const below = gps.get(5);
  const sign = below && tiff.view.getUint8(below.at) === 1 ? -1 : 1;
  return { latitude, longitude, ...(Number.isFinite(height) ? { altitude: sign * height } : {}) };
}

function degrees(tiff: Tiff, field: Field | undefined, isNegative: boolean, most: number): number | undefined {
  if (field?.type !== RATIONAL || field.count < 3) return undefined;
  const value = tiff.rational(field, 0) + tiff.rational(field, 1) / 60 + tiff.rational(field, 2) / 3600;
  return Number.isFinite(value) && value <= most ? (isNegative ? -value : value) : undefined;
}

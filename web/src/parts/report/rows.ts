/** Photos as the report's table and map have them: what became of each, and how like it the model is. Pure. */

import { REPORT, sentence } from "../../words/en.ts";
import type { CameraRow, ReportSource, SfmPhoto } from "./types.ts";

export type Fate = "placed" | "left" | "apart";
export type Shown = Fate | "all";
export type Order = "flown" | "worst";

export interface PhotoRow {
  name: string;
  fate: Fate;
  /** What became of it, as a sentence. */
  words: string;
  thumb: number | null;
  /** Of the model against the photo, dB; null where it was not measured. */
  psnr: number | null;
  isHeldOut: boolean;
  camera: CameraRow | null;
  photo: SfmPhoto;
}

const PER_SHEET = 100;
const COLUMNS = 10;
/** dB at the ends of the bar: what looks like nothing, and what looks like the photo. */
const [LEAST_PSNR, MOST_PSNR] = [10, 40];

export function rowsOf({ parts }: ReportSource): PhotoRow[] {
  const { sfm, train, cameras } = parts;
  const apart = new Set((sfm?.apart ?? []).flat());
  const views = new Map((train?.views ?? []).map((view) => [view.name, view]));
  const byName = new Map((cameras ?? []).map((camera) => [camera.name, camera]));
  return (sfm?.photos ?? []).map((photo) => {
    const dense = photo.dense_name ?? photo.name;
    const view = views.get(dense);
    const fate = photo.registered ? "placed" : apart.has(photo.name) ? "apart" : "left";
    return {
      name: photo.name,
      fate,
      words: wordsOf(photo, fate),
      thumb: photo.thumb ?? null,
      psnr: view?.psnr ?? null,
      isHeldOut: view?.held_out ?? false,
      camera: byName.get(dense) ?? null,
      photo,
    };
  });
}

function wordsOf(photo: SfmPhoto, fate: Fate): string {
  const outlier = photo.gps_outlier ? ` ${REPORT.outlier(photo.gps_outlier)}` : "";
  if (fate === "placed") return REPORT.placed(photo.points ?? 0) + outlier;
  return sentence(photo.reason ?? REPORT.fates[fate]) + outlier;
}

export function countsOf(rows: readonly PhotoRow[]): Record<Fate, number> {
  const counts = { placed: 0, left: 0, apart: 0 };
  for (const { fate } of rows) counts[fate] += 1;
  return counts;
}

/** Worst first: what is not placed, then by PSNR, then what was not measured. */
export function selected(rows: readonly PhotoRow[], shown: Shown, order: Order): PhotoRow[] {
  const these = rows.filter(({ fate }) => shown === "all" || fate === shown);
  if (order === "flown") return these;
  const rank = ({ fate, psnr }: PhotoRow) => (fate !== "placed" ? -Infinity : psnr ?? Infinity);
  return these.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
}

/** Length of a PSNR's bar, 0 to 1. */
export function psnrShare(psnr: number): number {
  return Math.min(1, Math.max(0, (psnr - LEAST_PSNR) / (MOST_PSNR - LEAST_PSNR)));
}

/** Which sheet a tile is on, and its column and row there. */
export function tileOf(thumb: number): { file: string; column: number; row: number } {
  const at = thumb % PER_SHEET;
  return { file: `colmap/thumbs-${Math.floor(thumb / PER_SHEET)}.webp`, column: at % COLUMNS, row: Math.floor(at / COLUMNS) };
}

/** The rows that are drawn of a long table: all that are seen, and some more on both sides. */
export function windowOf(count: number, rowHeight: number, scrollTop: number, height: number, more = 6): { from: number; to: number } {
  if (rowHeight <= 0) return { from: 0, to: Math.min(count, more) };
  const to = Math.min(count, Math.max(0, Math.ceil((scrollTop + height) / rowHeight) + more));
  return { from: Math.min(Math.max(0, Math.floor(scrollTop / rowHeight) - more), to), to };
}

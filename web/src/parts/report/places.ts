/** Where photos were taken, on a plan: metres or the model's own units, x to the right and y up. Pure. */

import type { PhotoRow } from "./rows.ts";
import type { CameraRow, Pose, ReportSource } from "./types.ts";

export interface Dot {
  row: PhotoRow;
  x: number;
  y: number;
}
export interface Plan {
  dots: Dot[];
  /** Photos that nothing tells a place of. */
  nowhere: number;
  isMetric: boolean;
}
/** The plan on a drawing: `x` and `y` of a place, and units of the drawing in one of the plan. */
export interface Projection {
  width: number;
  height: number;
  scale: number;
  at(place: { x: number; y: number }): { x: number; y: number };
}

const DEGREE_M = 111_320;
const [FIELD_LEAST, FIELD_MOST] = [20, 100];

/**
 * Photos that were placed are where the model has them, the others where their positions say, if the model lies on the
 * earth. Without a model's cameras all are where their positions say. Null where under two have a place.
 */
export function planOf({ parts }: ReportSource, rows: readonly PhotoRow[]): Plan | null {
  const { origin, metric, axes } = parts.sfm?.georeference ?? {};
  const isOnEarth = Boolean(origin) && (axes ?? "").startsWith("x east");
  const hasCameras = rows.some(({ camera }) => camera !== null);
  const positions = rows.flatMap(({ photo }) => (photo.position ? [photo.position] : []));
  const first = positions[0];
  const reference = isOnEarth && origin ? origin : first && !hasCameras ? { latitude: first[0], longitude: first[1] } : null;
  const dots: Dot[] = [];
  for (const row of rows) {
    const { position } = row.photo;
    const place = row.camera
      ? centreOf(row.camera)
      : position && reference
        ? east(position, reference)
        : null;
    if (place && Number.isFinite(place[0]) && Number.isFinite(place[1])) dots.push({ row, x: place[0], y: place[1] });
  }
  if (dots.length < 2) return null;
  return { dots, nowhere: rows.length - dots.length, isMetric: hasCameras ? isOnEarth && metric === true : true };
}

/** Metres east and north, near enough for one flight. */
function east(position: readonly (number | null)[], origin: { latitude: number; longitude: number }): [number, number] {
  const [latitude, longitude] = position as [number, number];
  const cosine = Math.cos((origin.latitude * Math.PI) / 180);
  return [(longitude - origin.longitude) * DEGREE_M * cosine, (latitude - origin.latitude) * DEGREE_M];
}

/** The camera's place in the model: of [R | t], -Rᵀt. */
export function centreOf({ world_to_camera: [a, b, c] }: CameraRow): [number, number, number] {
  const at = (column: number) => -[a, b, c].reduce((sum, row) => sum + (row?.[column] ?? NaN) * (row?.[3] ?? NaN), 0);
  return [at(0), at(1), at(2)];
}

/** As the photo's camera stood, looking `ahead` units along its axis. */
export function poseOf(camera: CameraRow, ahead: number): Pose {
  const position = centreOf(camera);
  const [x, y, z] = camera.world_to_camera[2] ?? [];
  const along = [x ?? 0, y ?? 0, z ?? 0];
  const target = position.map((value, axis) => value + ahead * (along[axis] as number)) as Pose["target"];
  const fov = (2 * Math.atan(Math.max(camera.width, camera.height) / 2 / camera.fy) * 180) / Math.PI;
  return { position, target, fov: Math.min(FIELD_MOST, Math.max(FIELD_LEAST, fov)) };
}

/** How far before a camera the ground is, about: as high as it flew, or half of what the cameras span. */
export function depthOf({ parts }: ReportSource): number {
  const height = parts.sfm?.capture?.height_m;
  if (parts.sfm?.georeference?.metric && height && height > 1) return height;
  const centres = (parts.cameras ?? []).map(centreOf);
  const spans = [0, 1, 2].map((axis) => spanOf(centres.map((centre) => centre[axis] as number)));
  return Math.max(Math.hypot(...spans) / 2, 1e-3);
}

function spanOf(values: readonly number[]): number {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return high > low ? high - low : 0;
}

/** Fits the dots into a drawing of a width; at most as high as wide. */
export function project(dots: readonly Dot[], width: number, margin: number): Projection {
  const [xs, ys] = [dots.map(({ x }) => x), dots.map(({ y }) => y)];
  const [wide, tall] = [spanOf(xs), spanOf(ys)];
  const inner = width - 2 * margin;
  const scale = inner / Math.max(wide, tall, 1e-9);
  const [west, north] = [Math.min(...xs), Math.max(...ys)];
  const indent = (inner - wide * scale) / 2;
  return {
    width,
    height: Math.max(tall * scale, inner / 4) + 2 * margin,
    scale,
    at: ({ x, y }) => ({ x: margin + indent + (x - west) * scale, y: margin + (north - y) * scale + Math.max(0, inner / 4 - tall * scale) / 2 }),
  };
}

/** A round length, at most a fifth of the drawing: 1, 2 or 5 times a power of ten. */
export function roundLength(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((times) => times * power).find((length) => length <= most) ?? power;
}

/** The dot that is nearest to a place of the drawing, if one is within `reach`. */
export function nearest(dots: readonly Dot[], projection: Projection, x: number, y: number, reach: number): Dot | null {
  let [best, least]: [Dot | null, number] = [null, reach];
  for (const dot of dots) {
    const at = projection.at(dot);
    const distance = Math.hypot(at.x - x, at.y - y);
    if (distance <= least) [best, least] = [dot, distance];
  }
  return best;
}

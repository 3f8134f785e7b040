/** What a tape says of the points that were picked: lengths, and of three or more the area between them. Pure. */

import type { Metric } from "./settings.ts";
import { cross, distance, norm, subtract, type Point } from "./vectors.ts";

export interface Figure {
  value: number;
  /** Two standard deviations; null where it is not known. */
  uncertainty: number | null;
}
export interface Measure {
  /** Of each stretch from point to point, metres. */
  lengths: Figure[];
  /** Of all stretches, metres; null for less than two points. */
  length: Figure | null;
  /** Of what the points enclose, square metres; null for less than three points. */
  area: Figure | null;
}

export const MAX_POINTS = 100;

/** @param points in units of the model, which must be metric */
export function measure(points: readonly Point[], metric: Metric): Measure {
  const scale = metric.unit_m;
  const relative = metric.scale_uncertainty;
  const figure = (value: number, power: number): Figure => ({ value, uncertainty: relative == null ? null : power * relative * value });
  const lengths = points.slice(1).map((point, at) => scale * distance(point, points[at] as Point));
  const length = lengths.reduce((sum, each) => sum + each, 0);
  return {
    lengths: lengths.map((each) => figure(each, 1)),
    length: points.length > 1 ? figure(length, 1) : null,
    area: points.length > 2 ? figure(scale * scale * area(points), 2) : null,
  };
}

/** Of a polygon that need not lie in a plane: seen from where it looks largest. */
export function area(points: readonly Point[]): number {
  const first = points[0];
  if (!first) return 0;
  const sum: [number, number, number] = [0, 0, 0];
  for (let at = 1; at + 1 < points.length; at += 1) {
    const product = cross(subtract(points[at] as Point, first), subtract(points[at + 1] as Point, first));
    sum[0] += product[0];
    sum[1] += product[1];
    sum[2] += product[2];
  }
  return norm(sum) / 2;
}

/** The middle of the points, where the area is written. */
export function middle(points: readonly Point[]): Point {
  const sum = points.reduce<Point>((a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]], [0, 0, 0]);
  return [sum[0] / points.length, sum[1] / points.length, sum[2] / points.length];
}

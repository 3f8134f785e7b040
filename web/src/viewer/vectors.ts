/** Points and rotations, as much of them as a viewer needs. Pure. */

export type Point = readonly [number, number, number];
/** Row by row. */
export type Rotation = readonly [Point, Point, Point];

export const subtract = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const dot = (a: Point, b: Point): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a: Point, b: Point): Point => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const norm = (a: Point): number => Math.hypot(a[0], a[1], a[2]);
export const distance = (a: Point, b: Point): number => norm(subtract(a, b));
export const apply = (rotation: Rotation, point: Point): Point => [dot(rotation[0], point), dot(rotation[1], point), dot(rotation[2], point)];

export function inverse([x, y, z]: Rotation): Rotation {
  return [
    [x[0], y[0], z[0]],
    [x[1], y[1], z[1]],
    [x[2], y[2], z[2]],
  ];
}

/** Takes the direction `up` to the engine's, which is y, by the shortest way. */
export function upright(up: Point): Rotation {
  const length = norm(up);
  const [x, y, z]: Point = [up[0] / length, up[1] / length, up[2] / length];
  if (y < -1 + 1e-9) return [[1, 0, 0], [0, -1, 0], [0, 0, -1]]; // upside down: half a turn about x
  const k = 1 / (1 + y);
  return [
    [1 - k * x * x, -x, -k * x * z],
    [x, y, z],
    [-k * x * z, -z, 1 - k * z * z],
  ];
}

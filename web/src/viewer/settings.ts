/** `viewer.json`, checked, and what the engine makes of it. Pure. */

import { apply, norm, type Point, type Rotation } from "./vectors.ts";

export interface Pose {
  position: Point;
  target: Point;
  /** Degrees, along the longer side of the picture. */
  fov: number;
}
export interface Key extends Pose {
  time: number;
}
export interface Metric {
  is_metric: boolean;
  /** Metres in a unit of the model. */
  unit_m: number;
  /** Of lengths, relative, two standard deviations. */
  scale_uncertainty: number | null;
  why_not: string | null;
}
export interface ViewerFile {
  up: Point;
  view: Pose | null;
  flight: { seconds: number; keys: Key[] } | null;
  metric: Metric;
}

const MAX_KEYS = 1000;
const Z: Point = [0, 0, 1];
const NOT_METRIC: Metric = { is_metric: false, unit_m: 1, scale_uncertainty: null, why_not: null };
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isPositive = (value: unknown): value is number => isNumber(value) && value > 0;
const isPoint = (value: unknown): value is Point => Array.isArray(value) && value.length === 3 && value.every(isNumber);
const fields = (value: unknown) => (typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {});

export function isPose(value: unknown): value is Pose {
  const { position, target, fov } = fields(value);
  return isPoint(position) && isPoint(target) && isPositive(fov) && fov < 180;
}

/** What of it can be used; without any, z is up and all of the model is shown. */
export function readViewer(value: unknown): ViewerFile {
  const { up, view, flight, metric } = fields(value);
  return {
    up: isPoint(up) && norm(up) > 1e-3 ? up : Z,
    view: isPose(view) ? view : null,
    flight: readFlight(flight),
    metric: readMetric(metric),
  };
}

function readFlight(value: unknown): ViewerFile["flight"] {
  const { seconds, keys } = fields(value);
  if (!isPositive(seconds) || !Array.isArray(keys) || keys.length < 2 || keys.length > MAX_KEYS) return null;
  const times = keys.map((key) => fields(key)["time"]);
  const areRising = times.every((time, at) => isNumber(time) && time <= seconds && (at ? time > (times[at - 1] as number) : time >= 0));
  return areRising && keys.every(isPose) ? { seconds, keys: keys as Key[] } : null;
}

function readMetric(value: unknown): Metric {
  const { is_metric, unit_m, scale_uncertainty, why_not } = fields(value);
  if (is_metric !== true) return { ...NOT_METRIC, why_not: typeof why_not === "string" ? why_not : null };
  return {
    is_metric: true,
    unit_m: isPositive(unit_m) ? unit_m : 1,
    scale_uncertainty: isNumber(scale_uncertainty) && scale_uncertainty >= 0 ? scale_uncertainty : null,
    why_not: null,
  };
}

/** A pose of the model in the engine's coordinates. */
export function turned(rotation: Rotation, { position, target, fov }: Pose): { position: number[]; target: number[]; fov: number } {
  return { position: [...apply(rotation, position)], target: [...apply(rotation, target)], fov };
}

const FRAME_RATE = 30;

/** The flight as the engine's animation. */
export function animation(rotation: Rotation, { seconds, keys }: { seconds: number; keys: Key[] }) {
  const poses = keys.map((key) => turned(rotation, key));
  return {
    name: "flight",
    duration: seconds,
    frameRate: FRAME_RATE,
    loopMode: "none",
    interpolation: "spline",
    smoothness: 1,
    keyframes: {
      times: keys.map(({ time }) => time * FRAME_RATE),
      values: {
        position: poses.flatMap(({ position }) => position),
        target: poses.flatMap(({ target }) => target),
        fov: poses.map(({ fov }) => fov),
      },
    },
  };
}

/** What the report is drawn from: the parts of the stages' `report.json` that are shown, and where pictures are. */

import type { Stage } from "../../api/types.ts";

export interface Finding {
  level: "go" | "warn" | "stop";
  sentence: string;
}
/** Latitude, longitude, altitude. */
export type Position = [number, number, number | null];

export interface SfmPhoto {
  name: string;
  registered: boolean;
  reason?: string | null;
  position?: Position | null;
  points?: number | null;
  dense_name?: string | null;
  thumb?: number | null;
  gps_outlier?: string | null;
}
export interface SfmPart {
  photos: SfmPhoto[];
  apart?: string[][];
  findings?: Finding[];
  capture?: { findings?: Finding[]; height_m?: number | null };
  rolling_shutter?: { advice?: string | null };
  georeference?: {
    metric?: boolean;
    axes?: string;
    origin?: { latitude: number; longitude: number } | null;
    extent_m?: number | null;
    scale_uncertainty?: number | null;
    uncertainty_m?: number | null;
    metric_reason?: string | null;
  };
}
export interface TrainPart {
  counts?: { gaussians: number; iterations: number; stopped_by: string };
  quality?: { psnr_held_out?: number | null; psnr_train?: number | null };
  views?: { name: string; held_out: boolean; psnr: number }[];
  preview?: string[];
}
/** On photos that training never saw, dB. */
export interface HeldOutPsnr {
  model: number;
  file: number;
  loss: number;
}
export interface CompressPart {
  sog_bytes?: number;
  ratio?: number;
  sog_psnr?: number;
  sog_psnr_worst?: number;
  /** The views of the proof; only their kind is shown. */
  views?: { kind: string }[];
  /** PSNR over the views of each kind, dB. */
  kinds?: Record<string, { mean: number; worst: number }>;
  attribute_bytes?: Record<string, number>;
  mb_per_million?: number;
  held_out?: HeldOutPsnr;
  missed?: string | null;
  why_not?: string | null;
  lod_missed?: string | null;
  lod_levels?: number | null;
  lod_bytes?: number[] | null;
  lod_meta_bytes?: number | null;
}
/** One of `cameras.json`: OpenCV axes, `name` is the photo's `dense_name`. */
export interface CameraRow {
  name: string;
  width: number;
  height: number;
  fy: number;
  world_to_camera: number[][];
}
export interface Costs {
  seconds: Partial<Record<Stage, number>>;
  usd: Partial<Record<Stage, number>>;
  estimate: Partial<Record<Stage, number>>;
}
export interface ReportSource {
  name: string;
  /** When the job began, ISO 8601: it stands on paper. */
  date?: string;
  parts: { sfm?: SfmPart; train?: TrainPart; compress?: CompressPart; cameras?: CameraRow[] };
  /** Addresses of pictures, by their path below the job: `colmap/thumbs-0.webp`, `gaussian/preview.jpg`… */
  files: Record<string, string>;
  /** Whether there is a viewer to stand in. */
  hasModel: boolean;
  /** Absent where they are nobody's business. */
  costs?: Costs;
}

/** Where the viewer is to stand, in the model's coordinates; `fov` is along the longer side, in degrees. */
export interface Pose {
  position: [number, number, number];
  target: [number, number, number];
  fov: number;
}

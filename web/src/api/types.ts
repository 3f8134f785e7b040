/** What the API answers, as functions/api writes it. */

export type State =
  | "RECEIVED" | "SFM" | "TRAINING" | "COMPRESSING"
  | "COMPLETED" | "COMPLETED_DEGRADED" | "FAILED" | "STOPPED" | "REJECTED";
export type Stage = "sfm" | "train" | "compress";
export type Figure = number | string;

export interface Failure {
  slug: string;
  sentence: string;
}

/** The row of a job. Times are ISO 8601, dollars and seconds by stage. */
export interface Job {
  job_id: string;
  name: string;
  state: State;
  stage?: Stage;
  percent: number;
  message: string;
  created_at: string;
  updated_at: string;
  heartbeat_at?: string;
  counts: Record<string, Figure>;
  quality: Record<string, number>;
  live: Record<string, Figure>;
  estimate_usd: Partial<Record<Stage, number>>;
  cost_usd: Partial<Record<Stage, number>>;
  seconds: Partial<Record<Stage, number>>;
  outputs: Partial<Record<Stage, string>>;
  failure?: Failure;
  email?: string;
  continues?: string;
  /** In a list that was asked for with pictures: where the model's can be read for an hour. */
  preview?: string;
}

/** A file of a job, and where it can be fetched for a while. */
export interface FileLink {
  file: string;
  label: string;
  url: string;
  bytes: number;
}

/** The PSNR of the validation photos after so many iterations, dB. */
export interface Score {
  iteration: number;
  psnr: number;
}

/** What the running training shows; `url` only in an answer to whoever does not have the picture yet. */
export interface LivePicture {
  at: string;
  iteration: number;
  photo: string;
  held_out: boolean;
  url?: string;
}

export interface JobAnswer {
  job: Job;
  /** Who works on a stage, and how many seconds it has taken so far. */
  stages?: Partial<Record<Stage, { spent: number }>>;
  series?: Score[];
  live?: LivePicture | null;
  /** Of a job that has ended: the stages to go on from, and its options. */
  retry_from?: Stage[];
  options?: Values;
  links: FileLink[];
  /** Of an ended job: where what its report is made from can be read, by path below the job. */
  report?: Record<string, string>;
  noMail?: string;
  poll_seconds?: number;
}

export interface JobsAnswer {
  jobs: Job[];
  cursor?: string;
}

export type Values = Record<string, unknown>;

export interface OptionsAnswer {
  schema: Values;
  defaults: Values;
  presets: Record<string, Record<string, Values>>;
}

export const STAGES: readonly Stage[] = ["sfm", "train", "compress"];
export const END_STATES: ReadonlySet<State> = new Set(["COMPLETED", "COMPLETED_DEGRADED", "FAILED", "STOPPED", "REJECTED"]);

export function hasEnded(job: Job): boolean {
  return END_STATES.has(job.state);
}

/** The way of a job through its stages: what is done, what runs, and what each has taken. */
import { html } from "lit-html";
import { STAGES, type Job, type JobAnswer, type Stage } from "../api/types.ts";
import { count, dollars, duration, percent, STAGE_NAMES } from "../words/en.ts";
import { vars } from "./vars.ts";

type Progress = "done" | "running" | "failed" | "waiting";
const MARKS: Record<Progress, string> = { done: "✓", running: "●", failed: "✕", waiting: "○" };
/** The percentages of the whole job that each stage covers, as spaceport/pipeline/jobs/state.py has them. */
const SPANS: Record<Stage, [number, number]> = { sfm: [0, 25], train: [25, 90], compress: [90, 100] };
const SAID: Record<Progress, string> = { done: "done", running: "running", failed: "stopped here", waiting: "not yet" };

export function progressOf(job: Job, stage: Stage): Progress {
  if (job.state === "COMPLETED_DEGRADED" && stage === "compress") return "failed";
  const at = STAGES.indexOf(stage);
  const done = STAGES.findLastIndex((each) => job.outputs[each]); // a job that goes on from another has only the last
  if (at <= done) return "done";
  const isOver = job.state === "FAILED" || job.state === "STOPPED";
  const running = job.stage ? STAGES.indexOf(job.stage) : done + 1;
  if (at < running) return "done";
  if (at > running || job.state === "RECEIVED" || job.state === "REJECTED") return "waiting";
  if (isOver) return "failed";
  return job.state === "COMPLETED" ? "waiting" : "running";
}

/** How far the running stage is, 0 to 1. */
export function shareOf(percent: number, stage: Stage): number {
  const [from, to] = SPANS[stage];
  return Math.min(Math.max((percent - from) / (to - from), 0), 1);
}

export function stageRail({ job, stages = {} }: JobAnswer) {
  const upload: Progress = job.state === "REJECTED" ? "failed" : "done";
  const photos = typeof job.counts["photos"] === "number" ? [count(job.counts["photos"], "photo")] : [];
  return html`<ol class="rail" aria-label="Stages">
    ${step("Upload", upload, photos, upload === "done" ? 1 : 0)}
    ${STAGES.map((stage) => {
      const progress = progressOf(job, stage);
      const share = progress === "done" ? 1 : progress === "running" ? shareOf(job.percent, stage) : 0;
      const seconds = job.seconds[stage] ?? (progress === "running" || progress === "failed" ? stages[stage]?.spent : null);
      const usd = job.cost_usd[stage];
      const figures = [
        ...(progress === "running" ? [percent(100 * share)] : []),
        ...(seconds ? [duration(seconds)] : []),
        ...(usd ? [dollars(usd)] : []),
      ];
      return step(STAGE_NAMES[stage], progress, figures, share);
    })}
  </ol>`;
}

function step(name: string, progress: Progress, figures: string[], share: number) {
  return html`<li class=${progress} ${vars({ "--share": `${share}` })}>
    <span class="mark" aria-hidden="true">${MARKS[progress]}</span>
    <span class="name">${name}</span>
    <span class="hidden">${SAID[progress]}</span>
    <span class="figures">${figures.join(" · ")}</span>
  </li>`;
}

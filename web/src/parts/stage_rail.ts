/** The way of a job through its stages: what is done, what runs, and what each has taken. */
import { html } from "lit-html";
import { STAGES, type Job, type Stage } from "../api/types.ts";
import { dollars, duration, STAGE_NAMES } from "../words/en.ts";

type Progress = "done" | "running" | "failed" | "waiting";
const MARKS: Record<Progress, string> = { done: "✓", running: "●", failed: "✕", waiting: "○" };
const SAID: Record<Progress, string> = { done: "done", running: "running", failed: "stopped here", waiting: "not yet" };

export function progressOf(job: Job, stage: Stage): Progress {
  if (job.outputs[stage]) return "done";
  const first = STAGES.find((each) => !job.outputs[each]);
  if (first !== stage || job.state === "RECEIVED" || job.state === "REJECTED") return "waiting";
  if (job.state === "FAILED" || job.state === "STOPPED") return "failed";
  return job.state.startsWith("COMPLETED") ? "waiting" : "running";
}

export function stageRail(job: Job) {
  const upload: Progress = job.state === "REJECTED" ? "failed" : "done";
  return html`<ol class="rail" aria-label="Stages">
    ${step("Upload", upload, [])}
    ${STAGES.map((stage) => {
      const [seconds, usd] = [job.seconds[stage], job.cost_usd[stage]];
      const figures = [...(seconds == null ? [] : [duration(seconds)]), ...(usd ? [dollars(usd)] : [])];
      return step(STAGE_NAMES[stage], progressOf(job, stage), figures);
    })}
  </ol>`;
}

function step(name: string, progress: Progress, figures: string[]) {
  return html`<li class=${progress}>
    <span class="mark" aria-hidden="true">${MARKS[progress]}</span>
    <span class="name">${name}</span>
    <span class="hidden">${SAID[progress]}</span>
    <span class="figures">${figures.join(" · ")}</span>
  </li>`;
}

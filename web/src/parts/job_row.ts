/** One job in the list: a picture of its model, name, sentence, a thin line while it runs, age, cost. */
import { html, nothing } from "lit-html";
import { hasEnded, type Job } from "../api/types.ts";
import { addressOf } from "../route.ts";
import { fetchEngine } from "../viewer/ahead.ts";
import { age, dollars, failureLine, HEADLINES, percent, spent, STATE_NAMES } from "../words/en.ts";
import { progressLine } from "./progress_line.ts";

const TONES: Partial<Record<Job["state"], string>> = {
  COMPLETED: "good", COMPLETED_DEGRADED: "warn", FAILED: "bad", REJECTED: "bad", STOPPED: "warn",
};

export function jobRow(job: Job, preview: string | null, now: number, seconds: number) {
  const isRunning = !hasEnded(job);
  const hasModel = job.state === "COMPLETED";
  const sentence = failureLine(job.failure) || HEADLINES[job.state];
  const paid = spent(job);
  return html`<li>
    <a class="job" href=${addressOf({ page: "job", id: job.job_id })} @pointerenter=${hasModel ? fetchEngine : nothing} @focus=${hasModel ? fetchEngine : nothing}>
      <span class="preview">${preview ? html`<img src=${preview} alt="" width="256" height="144" loading="lazy" decoding="async" @error=${hide}>` : nothing}</span>
      <span class="state ${TONES[job.state] ?? "running"}">${STATE_NAMES[job.state]}</span>
      <span class="name">${job.name}</span>
      <span class="aside">${isRunning ? `${percent(job.percent)} · ` : nothing}${age(job.created_at, now)}${paid ? ` · ${dollars(paid)}` : nothing}</span>
      <span class="sentence">${sentence}</span>
      ${isRunning ? progressLine({ value: job.percent, label: job.name, text: percent(job.percent), seconds, isThin: true }) : nothing}
    </a>
  </li>`;
}

/** A picture that is gone leaves its empty place. */
function hide(event: Event): void {
  (event.target as HTMLElement).hidden = true;
}

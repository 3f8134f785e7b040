/** One job: how far it is, and when it has ended the model and the files. */
import { html, nothing } from "lit-html";
import { hasEnded, type Job } from "../api/types.ts";
import { JOB_SECONDS, nextStage, type App, type AppState } from "../app.ts";
import { progressLine } from "../parts/progress_line.ts";
import { stageRail } from "../parts/stage_rail.ts";
import { addressOf } from "../route.ts";
import { DATED, dollars, figures, GO_ON, HEADLINES, percent, SILENT, spent, STOP } from "../words/en.ts";
import { jobTabs } from "./job_tabs.ts";

/** Seconds without a heartbeat after which a person is to know. */
const SILENT_SECONDS = 90;

export function jobView(app: App, state: AppState) {
  if (state.jobTrouble && !state.answer)
    return html`<section class="card narrow"><h1>${state.jobTrouble.isMissing ? "No such job" : "Not loaded"}</h1>
      <p>${state.jobTrouble.sentence}</p><a href=${addressOf({ page: "home" })}>Your jobs</a></section>`;
  if (!state.answer) return html`<section class="column"><p class="note" aria-busy="true">…</p></section>`;
  const { answer } = state;
  const notes = html`
    ${state.actionTrouble ? html`<p class="column note bad" role="alert">${state.actionTrouble}</p>` : nothing}
    ${answer.noMail ? html`<p class="column note warn">${answer.noMail}</p>` : nothing}`;
  const tabs = hasEnded(answer.job) ? jobTabs(app, state, answer, notes) : null;
  return html`${band(app, state, answer.job)}
    ${tabs ?? html`${notes}<section class="column">${stageRail(answer.job)}</section>`}`;
}

function band(app: App, state: AppState, job: Job) {
  const isRunning = !hasEnded(job);
  const stage = nextStage(job);
  return html`<section class="sky">
    <div class="column">
      <h1 class="small">${job.name}</h1>
      <p class="sentence">${HEADLINES[job.state]}</p>
      ${isRunning ? progressLine({ value: job.percent, label: "Progress", text: `${percent(job.percent)}, ${HEADLINES[job.state]}`, seconds: JOB_SECONDS }) : nothing}
      <p class="second">${secondLine(job)}</p>
      <p class="muted">${facts(state, job)}</p>
      <div class="actions">
        ${isRunning ? html`<button class="onsky" ?disabled=${state.isActing} @click=${() => app.stop(job)}>${STOP.button}</button>` : nothing}
        ${stage ? html`<button class="onsky" ?disabled=${state.isActing} @click=${() => app.goOn(job, stage)}>${GO_ON(stage)}</button>` : nothing}
      </div>
    </div>
  </section>`;
}

function secondLine(job: Job): string {
  if (job.failure) return job.failure.sentence;
  return job.message === HEADLINES[job.state] ? "" : job.message;
}

function facts(state: AppState, job: Job): string {
  if (hasEnded(job)) {
    const { gaussians } = job.counts;
    const psnr = job.quality["psnr"];
    return [
      ...figures({ ...(gaussians == null ? {} : { gaussians }), ...(psnr == null ? {} : { psnr }) }),
      `${dollars(spent(job))} spent`,
    ].join(" · ");
  }
  const silence = job.heartbeat_at ? (Date.now() - Date.parse(job.heartbeat_at)) / 1000 : 0;
  if (state.isOffline && state.answeredAt) return DATED(state.answeredAt);
  if (silence > SILENT_SECONDS) return SILENT(silence);
  return [...figures(job.live), ...(spent(job) ? [`${dollars(spent(job))} so far`] : [])].join(" · ");
}

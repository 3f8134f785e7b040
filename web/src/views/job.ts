/** One job: how far it is and what it looks like so far, or how it has ended and what can be done then. */
import { html, nothing } from "lit-html";
import { hasEnded, type Job, type JobAnswer } from "../api/types.ts";
import { JOB_SECONDS, nextStage, type App, type AppState } from "../app.ts";
import { livePicture } from "../parts/live_picture.ts";
import { progressLine } from "../parts/progress_line.ts";
import { psnrCurve } from "../parts/psnr_curve.ts";
import { refusedFiles, refusedSentence } from "../parts/refused_files.ts";
import { stageRail } from "../parts/stage_rail.ts";
import { addressOf } from "../route.ts";
import { isAwaited } from "../tell.ts";
import { DATED, DELETE, dollars, figures, GO_ON, HEADLINES, percent, RETRY, secondLine, SILENT, spent, STOP, TELL } from "../words/en.ts";
import { jobTabs } from "./job_tabs.ts";

/** Seconds without a heartbeat after which a person is to know. */
const SILENT_SECONDS = 90;

export function jobView(app: App, state: AppState) {
  if (state.jobTrouble && !state.answer)
    return html`<section class="card narrow"><h1>${state.jobTrouble.isMissing ? "No such job" : "Not loaded"}</h1>
      <p>${state.jobTrouble.sentence}</p><a href=${addressOf({ page: "home" })}>Your jobs</a></section>`;
  if (!state.answer) return html`<section class="column"><p class="note" aria-busy="true">…</p></section>`;
  const { answer } = state;
  const { job } = answer;
  const notes = html`
    ${state.actionTrouble ? html`<p class="column note bad" role="alert">${state.actionTrouble}</p>` : nothing}
    ${answer.noMail ? html`<p class="column note warn">${answer.noMail}</p>` : nothing}
    ${hasEnded(job) && job.state !== "COMPLETED" ? html`<div class="column above">${stageRail(answer)}</div>` : nothing}`;
  const tabs = hasEnded(job) ? jobTabs(app, state, answer, notes) : null;
  return html`${band(app, state, answer)}
    ${tabs ?? html`${notes}<section class="column">${hasEnded(job) ? nothing : stageRail(answer)}
      ${job.state === "REJECTED" ? refusedFiles(job, state.sentFiles) : nothing}
      ${job.state === "TRAINING" || job.state === "COMPRESSING" ? training(state) : nothing}</section>`}`;
}

function band(app: App, state: AppState, answer: JobAnswer) {
  const { job } = answer;
  return html`<section class=${job.state === "COMPLETED" ? "sky ready" : "sky"}>
    <div class="column">
      <h1 class="small">${job.name}</h1>
      <p class="sentence">${HEADLINES[job.state]}</p>
      ${hasEnded(job) ? nothing : progressLine({ value: job.percent, label: "Progress", text: `${percent(job.percent)}, ${HEADLINES[job.state]}`, seconds: JOB_SECONDS })}
      <p class="second">${job.state === "REJECTED" ? refusedSentence(secondLine(job)) : secondLine(job)}</p>
      <p class="muted">${facts(state, job)}</p>
      <div class="actions">${hasEnded(job) ? afterwards(app, answer) : meanwhile(app, job)}</div>
    </div>
  </section>`;
}

function meanwhile(app: App, job: Job) {
  return html`<button class="onsky" @click=${() => app.stop(job)}>${STOP.button}</button>
    ${isAwaited(job.job_id) ? html`<p class="muted" role="status">${TELL.on}</p>`
      : html`<button class="onsky" @click=${() => app.tellMe(job)}>${TELL.button}</button>`}`;
}

/** None of these is disabled while its dialog is open: the focus comes back to it. */
function afterwards(app: App, answer: JobAnswer) {
  const next = nextStage(answer);
  const [others] = (answer.retry_from ?? []).filter((stage) => stage !== next);
  const button = (label: string, isFirst: boolean, act: () => unknown) =>
    html`<button class=${isFirst ? "" : "onsky"} @click=${act}>${label}</button>`;
  return html`
    ${next ? button(answer.job.state === "COMPLETED_DEGRADED" ? RETRY.again : GO_ON(next), true, () => app.goOn(answer, next)) : nothing}
    ${others ? button(RETRY.button, false, () => app.goOn(answer, others)) : nothing}
    ${button(DELETE.button, false, () => app.remove(answer.job))}`;
}

function facts(state: AppState, job: Job): string {
  if (hasEnded(job)) {
    const { gaussians } = job.counts;
    const psnr = job.quality["psnr"];
    return [
      ...figures({ ...(gaussians == null ? {} : { gaussians }), ...(psnr == null ? {} : { psnr }) }),
      ...(spent(job) ? [`${dollars(spent(job))} spent`] : []),
    ].join(" · ");
  }
  const silence = job.heartbeat_at ? (Date.now() - Date.parse(job.heartbeat_at)) / 1000 : 0;
  if (state.isOffline && state.answeredAt) return DATED(state.answeredAt);
  if (silence > SILENT_SECONDS) return SILENT(silence);
  return [...figures(job.live), ...(spent(job) ? [`${dollars(spent(job))} so far`] : [])].join(" · ");
}

function training({ picture, series }: AppState) {
  return html`<div class="training">${livePicture(picture, Date.now())}${psnrCurve(series)}</div>`;
}

/** The jobs, newest first. */
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { LIST_SECONDS, type App, type AppState } from "../app.ts";
import type { Filter, Listed } from "../jobs_list.ts";
import { dropZone, filePickers } from "../parts/drop_zone.ts";
import { jobRow } from "../parts/job_row.ts";
import { progressLine } from "../parts/progress_line.ts";
import { addressOf } from "../route.ts";
import type { UploadState } from "../upload/uploader.ts";
import { DATED, FILTERS, HOME, percent, UPLOAD } from "../words/en.ts";

export function homeView(app: App, state: AppState) {
  return html`${state.upload ? running(state.upload) : dropZone((files) => void app.take(files))}
  <section class="column">
    ${state.dropTrouble ? html`<p class="note bad" role="alert">${state.dropTrouble}</p>` : nothing}
    ${state.interrupted.length && !state.upload ? interrupted(app, state) : nothing}
    <div class="heading">
      <h1>${HOME.title}</h1>
      <div class="chips" role="group" aria-label="Show">
        ${(Object.keys(FILTERS) as Filter[]).map((name) => html`<button class="chip"
          aria-pressed=${name === state.filter ? "true" : "false"} @click=${() => app.filter(name)}>${FILTERS[name]}</button>`)}
      </div>
    </div>
    ${state.listTrouble ? html`<p class="note bad" role="alert">${HOME.failed} ${state.listTrouble.sentence}</p>` : nothing}
    ${state.isOffline && state.listedAt ? html`<p class="note">${DATED(state.listedAt)}</p>` : nothing}
    ${state.actionTrouble ? html`<p class="note bad" role="alert">${state.actionTrouble}</p>` : nothing}
    ${state.listed ? list(app, state, state.listed) : html`<p class="note" aria-busy="true">…</p>`}
  </section>`;
}

function running(upload: UploadState) {
  const share = upload.bytes ? (100 * upload.sent) / upload.bytes : 0;
  return html`<section class="sky"><div class="column">
    <p><a class="onsky" href=${addressOf({ page: "new" })}>${UPLOAD.sending}: ${upload.name}</a></p>
    ${progressLine({ value: share, label: "Upload", text: percent(share), seconds: 0.3 })}
  </div></section>`;
}

function interrupted(app: App, state: AppState) {
  return html`<h2>${UPLOAD.interruptedTitle}</h2><ul class="jobs">${state.interrupted.map(({ record, sent }) => html`<li class="card">
    <p>${UPLOAD.interrupted(record.name, (100 * sent) / record.plan.bytes, record.plan.bytes)}</p>
    <div class="actions">
      ${filePickers((files) => void app.take(files, record), false)}
      <button class="quiet" @click=${() => void app.forgetUpload(record.id)}>${UPLOAD.forget}</button>
    </div></li>`)}</ul>`;
}

function list(app: App, state: AppState, { jobs, cursor }: Listed) {
  if (!jobs.length) return html`<p class="note">${state.filter === "all" ? HOME.none : HOME.noneOfThese}</p>`;
  const now = Date.now();
  return html`<ul class="jobs">${repeat(jobs, (job) => job.job_id, (job) => jobRow(job, app.previews.of(job), now, LIST_SECONDS))}</ul>
    ${cursor ? html`<button class="quiet" ?disabled=${state.isActing} @click=${() => app.showMore()}>${HOME.more}</button>` : nothing}`;
}

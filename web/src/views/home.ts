/** The jobs, newest first. */
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { hasEnded, type Job } from "../api/types.ts";
import { LIST_SECONDS, type App, type AppState, type Filter } from "../app.ts";
import { jobRow } from "../parts/job_row.ts";
import { FILTERS, HOME } from "../words/en.ts";

const PASSES: Record<Filter, (job: Job) => boolean> = {
  all: () => true,
  running: (job) => !hasEnded(job),
  ready: (job) => job.state.startsWith("COMPLETED"),
  failed: (job) => job.state === "FAILED" || job.state === "REJECTED",
};

export function homeView(app: App, state: AppState) {
  return html`<section class="column">
    <div class="heading">
      <h1>${HOME.title}</h1>
      <div class="chips" role="group" aria-label="Show">
        ${(Object.keys(FILTERS) as Filter[]).map((name) => html`<button class="chip"
          aria-pressed=${name === state.filter ? "true" : "false"} @click=${() => app.filter(name)}>${FILTERS[name]}</button>`)}
      </div>
    </div>
    ${state.listTrouble ? html`<p class="note bad" role="alert">${HOME.failed} ${state.listTrouble.sentence}</p>` : nothing}
    ${state.jobs ? list(app, state, state.jobs) : html`<p class="note" aria-busy="true">…</p>`}
  </section>`;
}

function list(app: App, state: AppState, jobs: Job[]) {
  const shown = jobs.filter(PASSES[state.filter]);
  if (!shown.length) return html`<p class="note">${jobs.length ? HOME.noneOfThese : HOME.none}</p>`;
  const now = Date.now();
  return html`<ul class="jobs">${repeat(shown, (job) => job.job_id, (job) => jobRow(job, now, LIST_SECONDS))}</ul>
    ${state.hasMore ? html`<button class="quiet" @click=${() => app.showMore()}>${HOME.more}</button>` : nothing}`;
}

/** `<shared-report>`: the report as far as a link shows it. Its code comes with the tab. */
import { html, render } from "lit-html";
import type { SharedAnswer } from "../api/shared.ts";
import { REPORT } from "../words/en.ts";
import type { CameraRow, ReportSource } from "./report/types.ts";

const CAMERAS = "gaussian/cameras.json";

class SharedReport extends HTMLElement {
  #answer: SharedAnswer | null = null;
  #source: ReportSource | null = null;
  #isFailed = false;

  set answer(answer: SharedAnswer) {
    if (answer === this.#answer) return;
    this.#answer = answer;
    void this.#load(answer);
  }

  async #load(answer: SharedAnswer): Promise<void> {
    this.#isFailed = false;
    this.#draw();
    try {
      const [source] = await Promise.all([sourceOf(answer), import("./report/job_report.ts")]);
      if (answer === this.#answer) this.#source = source;
    } catch {
      if (answer === this.#answer) this.#isFailed = true;
    }
    this.#draw();
  }

  #draw(): void {
    const waiting = this.#isFailed
      ? html`<p class="note bad" role="alert">${REPORT.failed}</p><button @click=${() => this.#answer && void this.#load(this.#answer)}>${REPORT.again}</button>`
      : html`<p class="note" role="status">${REPORT.loading}</p>`;
    render(this.#source ? html`<job-report .source=${this.#source}></job-report>` : waiting, this);
  }
}

/** Where photos were taken is only in the answer when the owner wants it. */
async function sourceOf(answer: SharedAnswer): Promise<ReportSource> {
  const { job, report = {}, files = {}, model } = answer;
  const address = files[CAMERAS];
  const response = address ? await fetch(address, { referrerPolicy: "no-referrer" }) : null;
  const cameras = response?.ok ? ((await response.json()) as { cameras: CameraRow[] }).cameras : null;
  return { name: job.name, date: job.created_at, parts: { ...report, ...(cameras ? { cameras } : {}) }, files, hasModel: model };
}

customElements.define("shared-report", SharedReport);

/** *Report* for the owner of a job: loads what the stages have written, and the code that shows it. */
import { html, render } from "lit-html";
import type { Client } from "../api/client.ts";
import type { Job, JobAnswer } from "../api/types.ts";
import { REPORT } from "../words/en.ts";
import type { CameraRow, Pose, ReportSource } from "./report/types.ts";

type Phase = { kind: "loading" } | { kind: "failed" } | { kind: "ready"; source: ReportSource };

export interface Viewer {
  /** Move the viewer that there is. */
  stand(pose: Pose): void;
  /** Show the viewer, from there. */
  look(pose: Pose): void;
}

export function reportTab(client: Client, answer: JobAnswer, viewer: Viewer) {
  const pose = (event: Event) => (event as CustomEvent<Pose>).detail;
  return html`<div class="column" @stand=${(event: Event) => viewer.stand(pose(event))} @look=${(event: Event) => viewer.look(pose(event))}><owner-report .of=${{ client, answer }}></owner-report></div>`;
}

class OwnerReport extends HTMLElement {
  #of: { client: Client; answer: JobAnswer } | null = null;
  #phase: Phase = { kind: "loading" };
  /** Counts what was begun, so that what comes too late is thrown away. */
  #loading = 0;

  set of(of: { client: Client; answer: JobAnswer }) {
    const isSame = of.answer.job.job_id === this.#of?.answer.job.job_id && of.answer.job.state === this.#of.answer.job.state;
    this.#of = of;
    if (!isSame) void this.#load(of.answer);
  }

  async #load(answer: JobAnswer): Promise<void> {
    const loading = ++this.#loading;
    const set = (phase: Phase) => {
      if (loading !== this.#loading) return;
      this.#phase = phase;
      this.#draw();
    };
    set({ kind: "loading" });
    try {
      const [source] = await Promise.all([sourceOf(answer.job, answer.report ?? {}), import("./report/job_report.ts")]);
      set({ kind: "ready", source });
    } catch {
      set({ kind: "failed" });
    }
  }

  /** Addresses end after a while, so they are asked for again too. */
  async #again(): Promise<void> {
    if (!this.#of) return;
    const { client, answer } = this.#of;
    const fresh = await client.get<JobAnswer>(`/jobs/${encodeURIComponent(answer.job.job_id)}`).catch(() => answer);
    await this.#load(fresh);
  }

  #draw(): void {
    const phase = this.#phase;
    const content = {
      loading: () => html`<p class="note" role="status">${REPORT.loading}</p>`,
      failed: () => html`<p class="note bad" role="alert">${REPORT.failed}</p><button @click=${() => void this.#again()}>${REPORT.again}</button>`,
      ready: () => html`<job-report .source=${(phase as { source: ReportSource }).source}></job-report>`,
    }[phase.kind];
    render(content(), this);
  }
}

async function sourceOf(job: Job, files: Record<string, string>): Promise<ReportSource> {
  const [sfm, train, compress, cameras] = await Promise.all(
    ["colmap/report.json", "gaussian/report.json", "compressed/report.json", "gaussian/cameras.json"].map((file) => read(files[file])),
  );
  const parts = { sfm, train, compress, cameras: (cameras as { cameras: CameraRow[] } | undefined)?.cameras };
  const there = Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as ReportSource["parts"];
  return { name: job.name, date: job.created_at, parts: there, files, hasModel: job.state === "COMPLETED", costs: { seconds: job.seconds, usd: job.cost_usd, estimate: job.estimate_usd } };
}

/** Undefined for what a job does not have. */
async function read(url: string | undefined): Promise<unknown> {
  if (!url) return undefined;
  const response = await fetch(url, { referrerPolicy: "no-referrer" });
  if (!response.ok) throw new Error(`${response.status}`);
  return response.json();
}

customElements.define("owner-report", OwnerReport);

/** *Share*: links for people without a key. */
import { html, nothing } from "lit-html";
import type { Job } from "../api/types.ts";
import type { App, AppState } from "../app.ts";

export function shareTab(_app: App, { client }: AppState, job: Job): unknown {
  if (!client) return nothing;
  import("./job_shares.ts").catch(() => undefined); // it takes over the element that is there
  return html`<div class="column"><job-shares .source=${{ client, jobId: job.job_id, name: job.name }}></job-shares></div>`;
}

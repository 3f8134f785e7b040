/** *Look*: the model in the viewer; of a job without a compressed model, what pictures there are. */
import { html } from "lit-html";
import type { Client } from "../api/client.ts";
import type { JobAnswer } from "../api/types.ts";
import "../viewer/splat_view.ts";
import { modelPath } from "../viewer/ahead.ts";
import { picturesOf } from "./files_tab.ts";

export function lookTab(client: Client, { job, links }: JobAnswer) {
  const poster = links.find(({ file }) => file === "compressed/poster.jpg")?.url ?? null;
  if (job.state === "COMPLETED") return html`<splat-view .source=${{ client, path: modelPath(job.job_id), name: job.name, poster }}></splat-view>`;
  return html`<div class="column pictures">
    ${picturesOf(links).map((link) => html`<figure><img src=${link.url} alt=${link.label}><figcaption>${link.label}</figcaption></figure>`)}
  </div>`;
}

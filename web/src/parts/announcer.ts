/** Says changes to screen readers, politely: stage changes and each tenth, not every value. */
import { html } from "lit-html";
import type { Job } from "../api/types.ts";
import { HEADLINES } from "../words/en.ts";

/** The text changes, and so is read out, when the state or the tenth of the percentage does. */
export function announcement(job: Job): string {
  const tenth = Math.floor(job.percent / 10) * 10;
  return `${job.name}: ${HEADLINES[job.state]}. ${tenth} percent.`;
}

export function announcer(text: string) {
  return html`<p class="hidden" role="status">${text}</p>`;
}
